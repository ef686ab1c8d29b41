/**
 * How much memory a run takes besides its weights, and the total on each backend.
 *
 * Bytes of values follow from shapes. What runtimes add was measured with onnxruntime 1.30 on DiT-S/2, B/4,
 * XL/2 and the embedded model (`scripts/bench/measure_memory.ts`), and is said beside each number.
 */

import type { BackendName } from "../../backend/backend.ts";
import type { Condition, Transformer } from "../../model/module_graph.ts";
import { CONDITIONING_PASS_BYTES, staysLoaded } from "../conditioning.ts";
import type { LinearLowering } from "../../onnx/graph.ts";
import type { KeptBytes } from "./kept.ts";
import { gibibytes, type MemoryNeeds } from "./needs.ts";
import { buildSegment } from "../segment/segment.ts";
import { fullStep, stepParts } from "../segment/step_segments.ts";
import { workingSet } from "./working_set.ts";

/** What a run takes besides weights, in bytes. */
export interface RunNeeds {
  /** The most that one graph of a step holds while it runs. */
  readonly largestSet: number;
  /** The most that a step holds as one graph. */
  readonly wholeSet: number;
  /** The most that conditioning holds, weights among it unless they stay; gone before the first step. */
  readonly conditioning: number;
  /** Conditioning of the whole run, on the host. */
  readonly table: number;
  /** Features and states that the plan keeps, at most. */
  readonly features: number;
  /** Places of all that it ever keeps, each its own for the whole run: so a GPU holds them. */
  readonly places: number;
}

/** Bytes that a run takes on one backend. */
export interface BackendMemory {
  /** Which. */
  readonly name: BackendName;
  /** Where: WebAssembly's memory, the whole process, or the GPU's memory. */
  readonly place: string;
  /** Weights that stay loaded, in every copy that the backend makes. */
  readonly weights: number;
  /** Values of graphs that run, with what the allocator loses between them. */
  readonly activations: number;
  /** What conditioning holds there, before the first step. */
  readonly conditioning: number;
  /** Features and states that are kept there between steps. */
  readonly features: number;
  /** The runtime itself and its sessions. */
  readonly runtime: number;
  /** The most there at any moment. */
  readonly peak: number;
  /** What JavaScript holds outside of it: features on wasm, conditioning, a graph that is being loaded. */
  readonly host: number;
}

/** Working sets of a step for one row of the batch; they grow in proportion to the rows. */
export interface RowSets {
  /** Of the graph that holds the most. */
  readonly largest: number;
  /** Of the step as one graph. */
  readonly whole: number;
}

/** Builds the graphs of a step, linear layers as `lowering` has them, and adds up what they hold. */
export function rowSets(transformer: Transformer, lowering?: LinearLowering): RowSets {
  const parts = stepParts(fullStep(transformer.modules.length));
  const sizes = { ...transformer.sizes, N: 1 };
  const setOf = (graph: typeof parts): number =>
    workingSet(buildSegment(transformer, graph, lowering), sizes);
  const largest = Math.max(...parts.map((part) => setOf([part])));
  let whole: number | undefined;
  return {
    largest,
    get whole(): number { // only a GPU has it, and it takes as long as all others
      whole ??= setOf(parts);
      return whole;
    },
  };
}

/** What a run of this batch and number of steps takes, if it keeps so much. */
export function runNeeds(
  transformer: Transformer,
  sets: RowSets,
  { batch, steps, kept }: {
    readonly batch: readonly Condition[];
    readonly steps: number;
    readonly kept: KeptBytes | undefined;
  },
): RunNeeds {
  const rows = batch.length;
  const conditions = steps * new Set(batch.map(({ label }) => label)).size;
  const { groups, width } = transformer.conditioning;
  const stays = staysLoaded(transformer.conditioning);
  const vectors = groups.map(({ parts }) => parts.reduce((sum, part) => sum + part.rows, 0));
  const passes = groups.map(({ weightBytes }, i) => {
    const row = 4 * width * vectors[i]!; // one for each group
    const pass = Math.min(conditions, Math.max(1, Math.floor(CONDITIONING_PASS_BYTES / row)));
    return (stays ? 0 : weightBytes) + pass * (2 * row + 4 * width); // each layer's, joined, and what they come from
  });
  return {
    largestSet: rows * sets.largest,
    get wholeSet(): number {
      return rows * sets.whole;
    },
    conditioning: Math.max(0, ...passes),
    table: conditions * 4 * width * vectors.reduce((sum, count) => sum + count, 0),
    features: kept?.features ?? 0,
    places: kept?.places ?? 0,
  };
}

const KIB = 2 ** 10;
const MIB = 2 ** 20;

/** What a run takes on one backend. */
export function memoryOn(name: BackendName, needs: MemoryNeeds, run: RunNeeds): BackendMemory {
  const parts = PLACES[name](needs, run);
  const { weights, activations, conditioning, features, runtime } = parts;
  // Conditioning is over when the first step begins.
  const peak = runtime + weights + Math.max(conditioning, features + activations);
  return { name, ...parts, peak };
}

/** How often a backend holds weights: native keeps some matrices packed as well. */
export const WEIGHT_COPIES: Readonly<Record<BackendName, number>> = {
  wasm: 1,
  native: 1.42,
  webgpu: 1,
};

type Parts = Omit<BackendMemory, "name" | "peak">;

const PLACES: Readonly<Record<BackendName, (needs: MemoryNeeds, run: RunNeeds) => Parts>> = {
  // Features and results come back to the host after each graph; all sessions share that memory.
  wasm: (needs, run) => ({
    place: "WebAssembly's memory",
    weights: needs.weights + needs.keptConditioning,
    activations: 1.3 * run.largestSet, // blocks of several sizes leave gaps: 1.2 to 1.4 was measured
    conditioning: run.conditioning,
    features: 0,
    runtime: 10 * MIB + 96 * KIB * needs.graphs,
    host: run.features + run.table + needs.largestGraph,
  }),
  // Memory that graphs free is reused, except about 60 MiB of fragments.
  native: (needs, run) => ({
    place: "the process",
    weights: WEIGHT_COPIES.native * (needs.weights + needs.keptConditioning),
    activations: 2 * run.largestSet + Math.min(60 * MIB, 4 * run.largestSet),
    conditioning: run.conditioning,
    features: run.features + run.table,
    runtime: 85 * MIB + 2 * MIB * needs.graphs,
    host: 0,
  }),
  // One graph a step, whose values the runtime holds, and the step's recording again. Computed from shapes, which was held
  // against buffers on llvmpipe only: of ten pictures of a narrow DiT 2.3 times the values of a step.
  webgpu: (needs, run) => ({
    place: "the GPU's memory",
    weights: needs.weights + needs.keptConditioning,
    activations: 2 * run.wholeSet,
    conditioning: run.conditioning,
    features: run.places,
    runtime: 0,
    host: run.table + needs.largestGraph,
  }),
};

/** Why a run does not fit into this much memory, and what to do; `undefined` when it fits. */
export function misfitOn(memory: BackendMemory, limit: number | undefined): string | undefined {
  if (limit === undefined || memory.peak <= limit) return undefined;
  return `memory must be at most ${gibibytes(limit)}: current value is ${
    gibibytes(memory.peak)
  } of ${memory.place}, ${partsText(memory)}; ${adviceOn(memory)}`;
}

/** The parts of a peak, largest first. */
export function partsText(memory: BackendMemory): string {
  const { weights, activations, conditioning, features, runtime } = memory;
  const held = conditioning > activations + features
    ? [["conditioning", conditioning]] as const
    : [["activations", activations], ["kept between steps", features]] as const;
  return ([["weights", weights], ...held, ["runtime", runtime]] as const)
    .filter(([, bytes]) => bytes > 0)
    .toSorted(([, a], [, b]) => b - a)
    .map(([what, bytes]) => `${gibibytes(bytes)} ${what}`)
    .join(", ");
}

/** What would make the largest part smaller. */
function adviceOn({ name, weights, activations, features }: BackendMemory): string {
  const others = name === "wasm" ? "native or webgpu" : "another backend";
  if (weights >= activations && weights >= features) {
    return `take ${WEIGHT_ADVICE}, or ${others}`;
  }
  if (features > activations) return `take a plan that keeps fewer features, or ${others}`;
  return `generate fewer pictures at a time, or take ${others}`;
}

/** What makes weights smaller. */
export const WEIGHT_ADVICE = "--weights int8";
