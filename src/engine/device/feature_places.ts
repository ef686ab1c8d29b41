/**
 * Where kept features lie: those of one shape one after the other in the order of their modules, so that a stretch of
 * them can be read as one; older ones of the same modules in buffers of their own.
 */

import type { Buffers, Place } from "../../backend/gpu/memory.ts";
import { PLACE_ALIGNMENT } from "../../backend/gpu/memory.ts";
import type { Encode } from "../../backend/gpu/submit.ts";
import type { Transformer } from "../../model/module_graph.ts";
import { type Step, stores } from "../../plan/compile.ts";
import { elementCount } from "../../tensor/tensor.ts";
import { featureName } from "../segment/kept_features.ts";
import { withBatch } from "../segment/segment.ts";

/** Places of features, by the names that they have in graphs. */
export class FeaturePlaces {
  readonly #places = new Map<string, Place>();
  readonly #limits: GPUSupportedLimits;
  bytes = 0;

  constructor(
    transformer: Transformer,
    kept: ReadonlyMap<number, number>,
    { buffers, rows }: { readonly buffers: Buffers; readonly rows: number },
  ) {
    this.#limits = buffers.device.limits;
    const modules = [...kept].map(([index, count]) => ({ ...transformer.modules[index]!, count })); // of a plan for it
    for (let age = 0; age < Math.max(0, ...kept.values()); age++) {
      const shapes = new Map<number, string[]>();
      for (const { name, featureDims } of modules.filter(({ count }) => count > age)) {
        for (const [i, dims] of featureDims.entries()) {
          const size = 4 * elementCount(withBatch(dims, rows, transformer.sizes));
          shapes.set(size, [...shapes.get(size) ?? [], featureName(name, i, age)]);
        }
      }
      for (const [size, names] of shapes) this.#lay(names, size, buffers);
    }
  }

  /** The place of a feature, if it is kept. */
  find(name: string): Place | undefined {
    return this.#places.get(name);
  }

  /** Makes room for what a step stores, where earlier features are kept beside it: each becomes one older. */
  age(step: Step, { modules }: Transformer): Encode {
    const moves = step.kind === "reuse" || step.kind === "forecast"
      ? []
      : step.actions.flatMap((action, m) =>
        Array.from({ length: stores(action) ? action.keep - 1 : 0 }, (_, i) => action.keep - 1 - i)
          .flatMap((to) =>
            modules[m]!.featureDims.map((_, i) =>
              // a step is of this transformer
              [to - 1, to].map((age) => this.find(featureName(modules[m]!.name, i, age))!)
            )
          )
      );
    return (encoder) => {
      for (const [from, to] of moves as [Place, Place][]) {
        encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, from.size);
      }
    };
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

/** By module of which some step keeps features: the most at once. */
export function keptModules(steps: readonly Step[]): ReadonlyMap<number, number> {
  const kept = new Map<number, number>();
  for (const step of steps) {
    if (step.kind === "reuse" || step.kind === "forecast") continue;
    for (const [m, { keep }] of step.actions.entries()) {
      if (keep > 0) kept.set(m, Math.max(keep, kept.get(m) ?? 0));
    }
  }
  return new Map([...kept].toSorted(([a], [b]) => a - b));
}
