/**
 * Choosing the precision of a pipeline's weights.
 */

import type { Weights } from "../../assets/weights.ts";
import type { Backend, BackendName } from "../../backend/backend.ts";
import { AssetError, BackendError } from "../../errors.ts";
import { elementCount } from "../../tensor/tensor.ts";
import { exactByteType } from "./byte_product.ts";
import {
  type LayerPrecision,
  PRECISIONS,
  PRODUCT_PRECISIONS,
  type ProductPrecision,
  RoundedLayers,
  type WeightPrecision,
} from "./rounded_layers.ts";

/** The precision of a pipeline's weights, and what rounding did to each layer. */
export interface PrecisionReport {
  /** What layers of modules were rounded to. */
  readonly weights: WeightPrecision;
  /** What they are computed in, unless their weights are integers. */
  readonly products: ProductPrecision;
  /** One for each layer that was loaded so far; with `f32` there are some where float16 is kept. */
  readonly layers: readonly LayerPrecision[];
}

export interface RoundingSubject {
  readonly id: string;
  readonly weights: Weights;
}

/**
 * The precision that was asked for. Else, of a packed model, what it says itself, or that in which it has its
 * weights where the backend computes in it; and `f32` otherwise, to which packed weights are expanded.
 *
 * @throws {TypeError} When there is no such precision.
 * @throws {AssetError} When a packed model has its weights in another one.
 */
export function choosePrecision(
  { id, weights }: RoundingSubject,
  { wanted, backend }: {
    readonly wanted: WeightPrecision | undefined;
    /** Where it is known; on some backend otherwise. */
    readonly backend?: BackendName;
  },
): WeightPrecision {
  const packed = weights.quantized?.precision;
  const precision = wanted ?? defaultPrecision(weights, backend);
  if (!PRECISIONS.includes(precision)) {
    throw new TypeError(
      `Cannot open ${id}: weights must be ${PRECISIONS.join(", ")}: current value is ${precision}`,
    );
  }
  if (packed === undefined || packed === precision || precision === "f32") return precision;
  throw new AssetError(
    `Cannot open ${id}: weights must be ${packed}, as it was packed, or f32: current value is ${precision}`,
  );
}

function defaultPrecision(
  { quantized }: Weights,
  backend: BackendName | undefined,
): WeightPrecision {
  if (quantized === undefined || quantized.arithmetic === "f32") return "f32";
  const { precision } = quantized;
  return backend !== undefined && precisionMisfit(backend, precision) ? "f32" : precision;
}

/**
 * The layers that are rounded as they are loaded; `undefined` where all weights are float32. With `f32`, a
 * backend that supports it keeps weights of large models in float16 that are float16 in the file: results are the
 * same, but each step widens them again.
 *
 * @throws {BackendError} When the backend does not compute in this precision.
 */
export async function roundLayers(
  { id, weights }: RoundingSubject,
  backend: Backend,
  precision: WeightPrecision,
): Promise<RoundedLayers | undefined> {
  if (precision === "f32") {
    if (backend.half === undefined || floatBytes(weights) <= MOST_WIDENED) return undefined;
    return new RoundedLayers(weights, { precision: "f16" });
  }
  if (precision === "int4") return new RoundedLayers(weights, { precision });
  const misfit = precisionMisfit(backend.name, precision);
  if (misfit !== undefined) {
    throw new BackendError(`Cannot open ${id} on ${backend.description}: ${misfit}`);
  }
  return new RoundedLayers(weights, { precision, byteType: await exactByteType(backend) });
}

/**
 * In what layers of modules are computed: what was asked for, else float16 on a GPU that has it, float32 elsewhere. With
 * float16 pictures of both trained models of the repository are 63 dB and more from float32's
 * (`scripts/bench/README.md`), closer than a plan's.
 *
 * @throws {TypeError} When there is no such precision, or the weights are integers.
 * @throws {BackendError} When the backend does not compute in it.
 */
export function chooseProducts(
  id: string,
  backend: Pick<Backend, "name" | "description" | "half">,
  { weights, wanted = backend.half === "fast" && weights === "f32" ? "f16" : "f32" }: {
    readonly wanted: ProductPrecision | undefined;
    readonly weights: WeightPrecision;
  },
): ProductPrecision {
  if (!PRODUCT_PRECISIONS.includes(wanted)) {
    throw new TypeError(
      `Cannot open ${id}: precision must be ${
        PRODUCT_PRECISIONS.join(" or ")
      }: current value is ${wanted}`,
    );
  }
  if (wanted === "f32") return wanted;
  if (weights !== "f32") {
    throw new TypeError(
      `Cannot open ${id}: precision must be f32 with weights in ${weights}: current value is ${wanted}`,
    );
  }
  if (backend.half !== undefined) return wanted;
  const lack = backend.name === "webgpu"
    ? "for its adapter has no shader-f16"
    : "for float16 is computed on WebGPU only";
  throw new BackendError(
    `Cannot open ${id} on ${backend.description}: precision must be f32, ${lack}: current value is ${wanted}`,
  );
}

/**
 * The layers of a model's modules that are rounded as they are loaded, by what was asked for; `undefined` where none
 * are.
 *
 * @throws {TypeError} When there is no such precision, or the two do not go together.
 * @throws {AssetError} When a packed model has its weights in another one.
 * @throws {BackendError} When the backend does not compute in it.
 */
export async function roundedAs(
  model: RoundingSubject,
  backend: Backend,
  wanted: {
    readonly weights?: WeightPrecision | undefined;
    readonly precision?: ProductPrecision | undefined;
  },
): Promise<RoundedLayers | undefined> {
  const weights = choosePrecision(model, { wanted: wanted.weights, backend: backend.name });
  const products = chooseProducts(model.id, backend, { wanted: wanted.precision, weights });
  if (products === "f32") return await roundLayers(model, backend, weights);
  return new RoundedLayers(model.weights, { precision: products, products });
}

/** Most bytes of float32 weights for which float16 ones are widened once and for all: 4 GiB. */
const MOST_WIDENED = 2 ** 32;

/** Bytes of all weights in float32. */
function floatBytes(weights: Weights): number {
  const counts = [...weights.names].map((name) => elementCount(weights.dims(name) ?? []));
  return 4 * counts.reduce((sum, count) => sum + count, 0);
}

/** Why a backend does not compute in a precision; `undefined` where it does. */
export function precisionMisfit(
  backend: BackendName,
  precision: WeightPrecision,
): string | undefined {
  if (backend !== "webgpu" || precision !== "int8") return undefined;
  return `weights must be f32 or int4, for WebGPU has no kernel of MatMulInteger: current value is int8`;
}

/** The name of a precision in plans. */
export function precisionName(weights: WeightPrecision): string {
  return weights === "f32" ? "float32" : weights;
}
