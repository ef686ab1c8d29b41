/**
 * The two ends of a step's graph: how it takes latents and gives predictions, whose order the update has to know.
 */

import type { Axes } from "../../backend/gpu/axes.ts";
import type { SumSizes } from "../../backend/gpu/weighted_sum.ts";
import type { Scene } from "../../model/scene.ts";
import { fuse } from "../../onnx/fuse.ts";
import type { Layout } from "../../onnx/fuse/layouts.ts";
import { sizeOf } from "../../onnx/sizes.ts";
import { LATENT, PREDICTION } from "../segment/segment.ts";
import { buildStep } from "./step_graph.ts";

/** Whether the numbers of a graph's input or result may come in another order: the update can read and write any. */
export function mayRearrange(name: string): boolean {
  return name === LATENT || name === PREDICTION;
}

/** What the update has to know of a model's ends, for so many rows. They are those of every kind of step. */
export function endsOf(
  { transformer, channelAxis }: Pick<Scene, "transformer" | "channelAxis">,
  rows: number,
): Pick<SumSizes, "predicted" | "givenAxes" | "predictedAxes"> {
  const { graph } = buildStep(transformer, {
    kind: "reuse",
    index: 0,
    slot: "",
    load: "residual", // with both ends
    drop: false,
  });
  const { layouts } = fuse(graph, { canStack: () => false, mayRearrange });
  const prediction = graph.outputs.find(({ name }) => name === PREDICTION);
  const sizes = { ...transformer.sizes, N: rows };
  return {
    predicted: Number(prediction?.node.dims[channelAxis]),
    givenAxes: axesOf(layouts.get(LATENT), sizes),
    predictedAxes: axesOf(layouts.get(PREDICTION), sizes),
  };
}

/** The axes of a value in a layout; `undefined` where it has its own. */
export function axesOf(
  layout: Layout | undefined,
  named: Readonly<Record<string, number>>,
): Axes | undefined {
  if (layout === undefined) return undefined;
  const sizes = layout.dims.map((size) => sizeOf(size, named));
  const strides: number[] = [];
  let stride = 1;
  for (const axis of layout.order.toReversed()) { // the innermost there is first
    strides[axis] = stride;
    stride *= sizes[axis]!; // an order is of all axes
  }
  return sizes.map((size, axis) => ({ size, stride: strides[axis]! }));
}
