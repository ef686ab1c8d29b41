/**
 * Where kept features lie: those of one shape one after the other in the order of their modules, so that a stretch of
 * them can be read as one.
 */

import type { Buffers, Place } from "../../backend/gpu/memory.ts";
import { PLACE_ALIGNMENT } from "../../backend/gpu/memory.ts";
import type { Transformer } from "../../model/module_graph.ts";
import type { Step } from "../../plan/compile.ts";
import { elementCount } from "../../tensor/tensor.ts";
import { featureName, withBatch } from "../segment/segment.ts";

/** Places of features, by the names that they have in graphs. */
export class FeaturePlaces {
  readonly #places = new Map<string, Place>();
  readonly #limits: GPUSupportedLimits;
  bytes = 0;

  constructor(
    transformer: Transformer,
    kept: ReadonlySet<number>,
    { buffers, rows }: { readonly buffers: Buffers; readonly rows: number },
  ) {
    this.#limits = buffers.device.limits;
    const shapes = new Map<number, string[]>();
    for (const index of kept) {
      const { name, featureDims } = transformer.modules[index]!; // a plan is of this transformer
      for (const [i, dims] of featureDims.entries()) {
        const size = 4 * elementCount(withBatch(dims, rows, transformer.sizes));
        shapes.set(size, [...shapes.get(size) ?? [], featureName(name, i)]);
      }
    }
    for (const [size, names] of shapes) this.#lay(names, size, buffers);
  }

  /** The place of a feature, if it is kept. */
  find(name: string): Place | undefined {
    return this.#places.get(name);
  }

  /** The place of several features that lie one after the other; `undefined` when they do not, or are too many to bind. */
  stretch(names: readonly string[]): Place | undefined {
    const places = names.map((name) => this.find(name));
    if (places[0] === undefined) return undefined;
    const { buffer, offset, size } = places[0];
    const joined = places.every((place, i) =>
      place?.buffer === buffer && place.offset === offset + i * size
    );
    return joined && places.length * size <= this.#limits.maxStorageBufferBindingSize
      ? { buffer, offset, size: places.length * size }
      : undefined;
  }

  #lay(names: readonly string[], size: number, buffers: Buffers): void {
    const together = size % PLACE_ALIGNMENT === 0 &&
      names.length * size <= this.#limits.maxBufferSize;
    const all = together ? buffers.make(names.length * size) : undefined;
    for (const [i, name] of names.entries()) {
      this.#places.set(name, all ? { ...all, offset: i * size, size } : buffers.make(size));
      this.bytes += size;
    }
  }
}

/** The modules of which some step keeps a feature. */
export function keptModules(steps: readonly Step[]): ReadonlySet<number> {
  const kept = steps.flatMap((step) =>
    step.kind === "reuse" || step.kind === "forecast"
      ? []
      : step.actions.flatMap(({ keep }, m) => (keep > 0 ? [m] : []))
  );
  return new Set(kept.toSorted((a, b) => a - b));
}
