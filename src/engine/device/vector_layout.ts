/**
 * The modulation vectors of a kind of step, and the weights of the features that it forecasts, side by side in one
 * buffer: one copy brings those of a step.
 */

import { PLACE_ALIGNMENT } from "../../backend/gpu/memory.ts";
import type { Condition } from "../../model/module_graph.ts";
import type { ConditioningTable } from "../conditioning.ts";
import { WEIGHTS } from "../segment/kept_features.ts";
import type { VectorRow } from "./step_graph.ts";

/** An input of a graph, and the vectors `(members, N, D)` that it takes. */
export interface VectorInput {
  readonly name: string;
  readonly members: readonly (VectorRow & { readonly offset: number })[];
}

/** How large inputs are. */
export interface VectorSizes {
  /** Rows of a batch. */
  readonly rows: number;
  /** Numbers of a vector. */
  readonly width: number;
  /** Weights of kept features. */
  readonly weights: number;
}

/** What a step takes. */
export interface StepVectors {
  readonly table: ConditioningTable;
  readonly batch: readonly Condition[];
  readonly weights: readonly number[];
}

/** Where inputs lie. */
export class VectorLayout {
  /** By input: bytes before it. */
  readonly offsets: ReadonlyMap<string, number>;
  /** Of all of them. */
  readonly byteLength: number;

  constructor(readonly inputs: readonly VectorInput[], readonly sizes: VectorSizes) {
    const offsets = new Map<string, number>();
    let end = 0;
    const place = (name: string, size: number): void => {
      offsets.set(name, end);
      end += Math.ceil(size / PLACE_ALIGNMENT) * PLACE_ALIGNMENT;
    };
    for (const input of inputs) place(input.name, this.sizeOf(input));
    if (sizes.weights > 0) place(WEIGHTS, 4 * sizes.weights);
    this.offsets = offsets;
    this.byteLength = Math.max(PLACE_ALIGNMENT, end);
  }

  sizeOf({ members }: VectorInput): number {
    return 4 * members.length * this.sizes.rows * this.sizes.width;
  }

  /** Writes what a step takes. */
  fill(numbers: Float32Array, { table, batch, weights }: StepVectors): void {
    if (weights.length > 0) numbers.set(weights, this.offsets.get(WEIGHTS)! / 4); // a kind has as many
    for (const input of this.inputs) {
      let at = this.offsets.get(input.name)! / 4; // made of these inputs
      for (const { part, row, offset } of input.members) {
        for (const condition of batch) {
          const vector = table.vector(part, row, condition);
          if (offset === 0) numbers.set(vector, at);
          else for (let i = 0; i < vector.length; i++) numbers[at + i] = vector[i]! + offset;
          at += this.sizes.width;
        }
      }
    }
  }
}
