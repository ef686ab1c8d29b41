/**
 * How much memory text encoders need, computed from their graphs before anything is loaded.
 */

import type { Model } from "../../model/model.ts";
import type { TextPart } from "../../model/text.ts";
import type { LinearLowering } from "../../onnx/graph.ts";
import { graphsOf } from "../../text/network.ts";
import { graphBytes } from "../memory/needs.ts";
import { choosePrecision } from "../precision/choose.ts";
import { roundedLowering, type WeightPrecision } from "../precision/rounded_layers.ts";

/** What one text encoder takes, in bytes; in float32 unless layers are rounded. */
export interface EncoderNeeds {
  /** What it is called in words, such as `T5`. */
  readonly title: string;
  /** Weights of all graphs: what it takes while it is kept. */
  readonly weights: number;
  /** How many graphs it has. */
  readonly graphs: number;
  /** Weights of the largest of them: what it takes block by block. */
  readonly largestGraph: number;
}

/** Needs of an encoder, its linear layers as `lowering` has them. */
export function encoderNeeds(
  { title, network }: TextPart,
  lowering?: LinearLowering,
): EncoderNeeds {
  const bytes = graphsOf(network).map((graph) => graphBytes(graph.build(lowering)));
  return {
    title,
    weights: bytes.reduce((sum, each) => sum + each, 0),
    graphs: bytes.length,
    largestGraph: Math.max(...bytes),
  };
}

/**
 * Needs of all encoders of a model, in the precision that was asked for or their own; none where it has none.
 *
 * @throws {AssetError} When one cannot be opened.
 */
export async function textNeeds(
  { id, text }: Pick<Model, "id" | "text">,
  wanted: WeightPrecision | undefined,
): Promise<readonly EncoderNeeds[]> {
  return (await text?.open() ?? []).map((part) => {
    const precision = choosePrecision({ id, weights: part.weights }, { wanted });
    return encoderNeeds(part, precision === "f32" ? undefined : roundedLowering({ precision }));
  });
}
