/**
 * The precision of a model's weights: which linear layers are rounded, and by how much.
 *
 * Only the layers of modules are: embedding, head and conditioning stay float32. They are rounded as their
 * module is loaded, so a model is never held twice.
 */

import type { Weights } from "../../assets/weights.ts";
import { AssetError } from "../../errors.ts";
import type { Graph, LinearLayer, LinearLowering, Node } from "../../onnx/graph.ts";
import { plainLinear } from "../../onnx/linear.ts";
import type { WeightNumbers } from "../../onnx/model_proto.ts";
import { halfLowering } from "../../onnx/half_linear.ts";
import { halfProducts, keepHalf } from "../../onnx/half_products.ts";
import { blockLowering, byteLowering, type ByteType } from "../../onnx/quantized.ts";
import { exactFloat16, finiteFloat16 } from "../../tensor/half.ts";
import { discard } from "../../tensor/tensor.ts";
import {
  BLOCK,
  quantizeBlocks,
  quantizeColumns,
  type QuantizedMatrix,
  roundingError,
  scaleName,
} from "../../tensor/quantize.ts";

/** How the weights of linear layers in modules are held: `int8` computes in integers, `int4` does not. */
export type WeightPrecision = "f32" | "int8" | "int4";

export const PRECISIONS = ["f32", "int8", "int4"] as const satisfies readonly WeightPrecision[];

/** In what linear layers of modules, and attention, are computed. */
export type ProductPrecision = "f32" | "f16";

export const PRODUCT_PRECISIONS = ["f32", "f16"] as const satisfies readonly ProductPrecision[];

export type RoundedPrecision = Exclude<WeightPrecision, "f32">;

/** How layers are held: `f16` where it loses nothing, so that it computes what `f32` does, or products are in it too. */
export type HeldPrecision = RoundedPrecision | "f16";

/** How one layer was rounded. */
export interface LayerPrecision {
  /** Name of its weight. */
  readonly name: string;
  /** Whether it was rounded; else it stayed float32. */
  readonly rounded: boolean;
  /**
   * What rounding adds to its result, relative to it: see `roundingError()`; absent where the file already
   * has it rounded, it cannot be rounded, or it is float16 for products in it.
   */
  readonly error?: number;
}

/**
 * Layers whose rounding error is larger stay float32. Normally distributed weights give 0.7 % at 8 bits
 * with a scale for each output of 768 inputs, and 9 % at 4 bits with one for every 32; much more means that a few
 * are so large that the others are lost.
 */
export const ERROR_LIMITS = { int8: 0.02, int4: 0.16 } as const;

/** What layers are rounded to, and for which kernels. */
export interface RoundingOptions {
  readonly precision: HeldPrecision;
  /** With `int8`: how this CPU multiplies bytes exactly; `int8` unless given. */
  readonly byteType?: ByteType;
  /** With `f16`: layers are rounded to it, for their products are computed in it. */
  readonly products?: "f16";
}

/** The rounded layers of a model, computed one module after another. */
export class RoundedLayers {
  readonly #layers = new Map<string, LayerPrecision>();
  readonly #held = new Map<string, { readonly node: Node; readonly numbers: WeightNumbers }>();
  readonly #rounded: LinearLowering;

  /** Reads nothing yet. */
  constructor(
    readonly weights: Weights,
    readonly options: RoundingOptions,
  ) {
    this.#rounded = roundedLowering(options);
  }

  /** Every layer decided so far. */
  get layers(): readonly LayerPrecision[] {
    return [...this.#layers.values()];
  }

  /** Parameters whose numbers are held and not read yet. */
  get held(): readonly Node[] {
    return [...this.#held.values()].map(({ node }) => node);
  }

  /** Whether a layer may be rounded: one of uneven inputs is not computed in eight bits. */
  readonly takes = (layer: LinearLayer): boolean =>
    this.options.precision !== "int8" || layer.unevenInput === undefined;

  /** Builds layers as decided; all others in float32. */
  readonly lowering: LinearLowering = (graph, x, layer) =>
    (this.#isRounded(layer.weight) ? this.#rounded : plainLinear)(graph, x, layer);

  /** Builds a graph with layers as decided. */
  build(make: (lowering: LinearLowering) => Graph): Graph {
    const graph = make(this.lowering);
    return this.options.products === undefined ? graph : keepHalf(graph);
  }

  /** Rounds layers that are new, and holds their numbers until they are read. */
  async decide(names: Iterable<string>, signal?: AbortSignal): Promise<void> {
    for (const name of names) {
      if (this.#layers.has(name)) continue;
      this.#layers.set(name, await this.#hold(name, signal));
    }
  }

  /** The numbers of a rounded layer's parameter, which are then released; `undefined` for one that stays float32. */
  async read({ name, type }: Node, signal?: AbortSignal): Promise<WeightNumbers | undefined> {
    const layer = [name, layerOf(name)].find((known) => this.#isRounded(known));
    if (layer === undefined) return type === "float16" ? await this.#bias(name, signal) : undefined;
    if (!this.#held.has(name)) await this.#hold(layer, signal); // its graph is loaded once more
    const held = this.#held.get(name);
    this.#held.delete(name);
    return held?.numbers;
  }

  #isRounded(name: string): boolean {
    return this.#layers.get(name)?.rounded === true;
  }

  /** Computes the numbers of a layer; one that stays float32 has none. */
  async #hold(name: string, signal: AbortSignal | undefined): Promise<LayerPrecision> {
    const { precision, byteType } = this.options;
    if (precision === "f16") return await this.#holdHalf(name, signal);
    const { layer, matrix } = await roundLayer(this.weights, name, { precision, signal });
    if (matrix === undefined) return layer;
    const { bits, dims: [out, width], values, scales } = matrix;
    const dims = bits === 8 ? [width, out] : [out, width / BLOCK, BLOCK / 2];
    if (bits === 4 || byteType === "uint8") {
      this.#keep({ name, type: "uint8", dims }, bits === 4 ? values : plus128(values));
    } else this.#keep({ name, type: "int8", dims }, values);
    this.#keep({ name: scaleName(name), type: "float32", dims: [scales.length] }, scales);
    return layer;
  }

  async #holdHalf(name: string, signal: AbortSignal | undefined): Promise<LayerPrecision> {
    const { dims, data } = await this.weights.read(name, signal);
    const { products } = this.options;
    const bytes = products === undefined ? exactFloat16(data) : finiteFloat16(data);
    if (bytes === undefined) return { name, rounded: false };
    this.#keep({ name, type: "float16", dims }, new Uint16Array(bytes.buffer));
    return { name, rounded: true, ...(products === undefined && { error: 0 }) };
  }

  async #bias(name: string, signal: AbortSignal | undefined): Promise<WeightNumbers> {
    const bytes = finiteFloat16((await this.weights.read(name, signal)).data);
    if (bytes !== undefined) return new Uint16Array(bytes.buffer);
    throw new AssetError(
      `Cannot compute in float16: ${name} has numbers beyond its range; take precision f32.`,
    );
  }

  #keep(node: Node, numbers: WeightNumbers): void {
    this.#held.set(node.name, { node, numbers });
  }
}

/** Builds every layer of modules in this precision. */
export function roundedLowering(options: RoundingOptions): LinearLowering {
  const { precision, byteType, products } = options;
  if (precision === "f16") return products === undefined ? halfLowering : halfProducts;
  return precision === "int8" ? byteLowering(byteType ?? "int8") : blockLowering(BLOCK);
}

/** A layer's matrix in integers, unless that loses too much; integers from the file are taken as they are. */
export async function roundLayer(
  weights: Weights,
  name: string,
  { precision, signal }: {
    readonly precision: RoundedPrecision;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<{ readonly layer: LayerPrecision; readonly matrix?: QuantizedMatrix }> {
  if (weights.quantized !== undefined) {
    if (!weights.quantized.names.has(name)) return { layer: { name, rounded: false } };
    return { layer: { name, rounded: true }, matrix: await weights.quantized.read(name, signal) };
  }
  if (precision === "int4" && (weights.dims(name)?.[1] ?? 0) % BLOCK !== 0) {
    return { layer: { name, rounded: false } };
  }
  const whole = await weights.read(name, signal);
  const matrix = precision === "int8" ? quantizeColumns(whole) : quantizeBlocks(whole);
  const error = roundingError(whole, matrix);
  const rounded = error <= ERROR_LIMITS[precision]; // and not where it is no number
  discard(whole.data);
  return { layer: { name, rounded, error }, ...(rounded && { matrix }) };
}

function layerOf(parameter: string): string {
  const ending = scaleName("");
  return parameter.endsWith(ending) ? parameter.slice(0, -ending.length) : parameter;
}

/** Signed bytes as unsigned ones with zero point 128: the same numbers. */
function plus128(values: Int8Array | Uint8Array): Uint8Array {
  const shifted = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) shifted[i] = values[i]! + 128;
  return shifted;
}
