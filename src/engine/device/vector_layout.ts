/**
 * The modulation vectors of a kind of step, side by side in one buffer: one copy brings those of a step.
 */

import { PLACE_ALIGNMENT } from "../../backend/gpu/memory.ts";
import type { Condition } from "../../model/module_graph.ts";
import type { ConditioningTable } from "../conditioning.ts";
import type { VectorRow } from "./step_graph.ts";

/** An input of a graph, and the vectors `(members, N, D)` that it takes. */
export interface VectorInput {
  readonly name: string;
  readonly members: readonly (VectorRow & { readonly offset: number })[];
}

/** Where inputs lie. */
export class VectorLayout {
  /** By input: bytes before it. */
  readonly offsets: ReadonlyMap<string, number>;
  /** Of all of them. */
  readonly byteLength: number;

  constructor(
    readonly inputs: readonly VectorInput[],
    readonly rows: number,
    readonly width: number,
  ) {
    const offsets = new Map<string, number>();
    let end = 0;
    for (const input of inputs) {
      offsets.set(input.name, end);
      end += Math.ceil(this.sizeOf(input) / PLACE_ALIGNMENT) * PLACE_ALIGNMENT;
    }
    this.offsets = offsets;
    this.byteLength = Math.max(PLACE_ALIGNMENT, end);
  }

  sizeOf({ members }: VectorInput): number {
    return 4 * members.length * this.rows * this.width;
  }

  /** Writes the vectors of a batch. */
  fill(numbers: Float32Array, table: ConditioningTable, batch: readonly Condition[]): void {
    for (const input of this.inputs) {
      let at = this.offsets.get(input.name)! / 4; // made of these inputs
      for (const { part, row, offset } of input.members) {
        for (const condition of batch) {
          const vector = table.vector(part, row, condition);
          if (offset === 0) numbers.set(vector, at);
          else for (let i = 0; i < vector.length; i++) numbers[at + i] = vector[i]! + offset;
          at += this.width;
        }
      }
    }
  }
}
