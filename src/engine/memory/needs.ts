/**
 * How much memory a model needs, computed from its graphs before anything is loaded.
 */

import type { Transformer } from "../../model/module_graph.ts";
import { ELEMENT_BYTES, type GraphBuilder, type LinearLowering } from "../../onnx/graph.ts";
import { staysLoaded } from "../conditioning.ts";
import { buildSegment } from "../segment/segment.ts";
import { fullStep, stepParts } from "../segment/step_segments.ts";

/** Bytes; in float32 unless layers are rounded. */
export interface MemoryNeeds {
  /** Weights of all graphs of a step. */
  readonly weights: number;
  /** How many graphs a step has where each module has one of its own. */
  readonly graphs: number;
  /** Weights of the largest of them. */
  readonly largestGraph: number;
  /** The largest weight. */
  readonly largestTensor: number;
  /** Weights of the largest graph of the conditioning, each of which is gone before the loop unless they stay. */
  readonly largestConditioning: number;
  /** Weights of the conditioning where its sessions stay loaded, else 0. */
  readonly keptConditioning: number;
}

/** Needs of a model, the linear layers of its modules as `lowering` has them. */
export function memoryNeeds(transformer: Transformer, lowering?: LinearLowering): MemoryNeeds {
  const parts = stepParts(fullStep(transformer.modules.length));
  const graphs = parts.map((part) => tensorBytes(buildSegment(transformer, [part], lowering)));
  const sums = graphs.map(sum);
  const { conditioning } = transformer;
  const groups = conditioning.groups.map(({ weightBytes }) => weightBytes);
  return {
    weights: sum(sums),
    graphs: graphs.length,
    largestGraph: largest(sums),
    largestTensor: largest(graphs.map(largest)),
    largestConditioning: largest(groups),
    keptConditioning: staysLoaded(conditioning) ? sum(groups) : 0,
  };
}

/** How much one backend can hold. */
export interface MemoryLimits {
  /** All weights together; absent where nothing says it. */
  readonly weights?: number | undefined;
  /** One weight, where each has a buffer of its own. */
  readonly tensor?: number | undefined;
}

/** Why a model does not fit, with numbers; `undefined` when it fits. */
export function misfitOf(needs: MemoryNeeds, limits: MemoryLimits): string | undefined {
  if (limits.weights !== undefined && needs.weights > limits.weights) {
    return `weights must fit in ${gibibytes(limits.weights)}: current value is ${
      gibibytes(needs.weights)
    }`;
  }
  if (limits.tensor !== undefined && needs.largestTensor > limits.tensor) {
    return `every weight must fit in ${gibibytes(limits.tensor)}: current value is ${
      gibibytes(needs.largestTensor)
    }`;
  }
  return undefined;
}

/** `44.34 GiB`; below a tenth in MiB. */
export function gibibytes(bytes: number): string {
  if (bytes < 0.1 * 2 ** 30) return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

/** Weights of a graph. */
export function graphBytes(graph: GraphBuilder): number {
  return sum(tensorBytes(graph));
}

function tensorBytes(graph: GraphBuilder): readonly number[] {
  return graph.parameters.map(({ dims, type }) =>
    dims.reduce<number>((product, size) => product * Number(size), ELEMENT_BYTES[type])
  );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function largest(numbers: readonly number[]): number {
  return numbers.reduce((most, number) => Math.max(most, number), 0);
}
