/**
 * The parts of a diffusion transformer that an engine must know: an embedding, modules in
 * execution order, a head, and conditioning that is known before the first step.
 *
 * A *module* is the unit of reuse: a costly `branch` whose result, the *feature*, is merged into the
 * residual streams through a gate. A feature is kept before its gate, so a later step merges an old
 * feature with a fresh gate. *Source:* InvarDiff, arXiv 2512.05134.
 */

import type { Dim, GraphBuilder, Node } from "../onnx/graph.ts";

/** The residual streams between modules, by name. */
export type Streams = Readonly<Record<string, Node>>;

/** A stream as an input or output of a graph. */
export interface StreamShape {
  readonly name: string;
  /** Its shape; `"N"` is the batch, other names are the {@link Transformer.sizes}. */
  readonly dims: readonly Dim[];
}

/** Rows of the conditioning table under one name. */
export interface ModulationPart {
  readonly name: string;
  /** How many vectors. */
  readonly rows: number;
}

/** What may be asked of a branch beside its features. */
export interface BranchOptions {
  /** Takes those tokens of `(N, tokens, D)` that are computed; absent = all. Of modules that have {@link Module.tokens}. */
  readonly pick?: ((graph: GraphBuilder, x: Node) => Node) | undefined;
  /** Hears of an attention's queries and keys `(N, S, D)`, as heads take their products. */
  readonly onAttention?: ((queries: Node, keys: Node, heads: number) => void) | undefined;
}

/** Where the tokens of a module's feature stand, each of which it computes by itself. */
export interface ModuleTokens {
  /** Name of the attention before it. */
  readonly attention: string;
  /** Which of the tokens that the attention mixes is its first; absent = the first. */
  readonly first?: Dim;
  /** Which of its own tokens is the picture's first; absent = none is. */
  readonly picture?: Dim;
}

/** A branch in two halves, where published calibrations measure what lies between. */
export interface BranchHalves {
  /** Streams and modulation to the inner result. */
  inner(
    graph: GraphBuilder,
    streams: Streams,
    modulation: readonly Node[],
    options?: BranchOptions,
  ): Node;
  /** The inner result to features. */
  finish(graph: GraphBuilder, inner: Node): Node[];
}

/** One attention or MLP of one block. */
export interface Module {
  /** Unique name, such as `blocks.3.attn`. */
  readonly name: string;
  /** How many modulation vectors `(N, 1, D)` it takes. */
  readonly modulationRows: number;
  /** Where these come from, in order; absent = a part of the module's own name. */
  readonly modulation?: readonly ModulationPart[];
  /** Shapes of the features that `branch` returns. */
  readonly featureDims: readonly (readonly Dim[])[];
  /** Kind of each feature, as calibrations name it; the first is the module's. */
  readonly kinds: readonly string[];
  /** The branch in halves, where its feature is not what published calibrations measure. */
  readonly halves?: BranchHalves;
  /** Its tokens; absent where some of them cannot be computed without the others. */
  readonly tokens?: ModuleTokens;
  /** Streams after it; absent = the transformer's. */
  readonly streams?: readonly StreamShape[];
  /** Multiply-accumulates of the branch and of the merge for one row of the batch. */
  readonly macs: { readonly branch: number; readonly merge: number };
  /** The costly inner part: streams and modulation to features. */
  branch(
    graph: GraphBuilder,
    streams: Streams,
    modulation: readonly Node[],
    options?: BranchOptions,
  ): Node[];
  /** Adds features to the streams through this step's gate. */
  merge(
    graph: GraphBuilder,
    streams: Streams,
    modulation: readonly Node[],
    features: readonly Node[],
  ): Streams;
}

/** The first part of a step: latents to streams. */
export interface Embedding {
  /** Multiply-accumulates for one row of the batch. */
  readonly macs: number;
  /** Shape of the latent input. */
  readonly latentDims: readonly Dim[];
  /** Latents to streams; may read the run's constants, which are shared inputs of the graph. */
  build(graph: GraphBuilder, latent: Node): Streams;
}

/** The last part of a step: streams to the model's prediction. */
export interface Head {
  /** Multiply-accumulates for one row of the batch. */
  readonly macs: number;
  /** How many modulation vectors `(N, 1, D)` it takes. */
  readonly modulationRows: number;
  /** The streams that it reads; absent = all. A kept state is these. */
  readonly reads?: readonly string[];
  /** Streams to the prediction, shaped as the latent with possibly more channels. */
  build(graph: GraphBuilder, streams: Streams, modulation: readonly Node[]): Node;
}

/** One row of conditioning: which timestep, which label. */
export interface Condition {
  /** The timestep value given to the model. */
  readonly time: number;
  /** Index into the label table, or of the condition that the run was given. */
  readonly label: number;
  /** The guidance scale, where it is an input of the model. */
  readonly scale?: number;
  /** Numbers that stand for label and scale, where the model has no table of its own. */
  readonly vector?: Float32Array;
  /** How far it is to the next time, where the model is told. */
  readonly length?: number;
  /** How many of its last modules the step leaves out, where the model is told. */
  readonly left?: number;
}

/** Modulation vectors of several modules as one graph. */
export interface ModulationGroup {
  /** Modules (or the head) whose vectors this group yields, in order, with their row counts. */
  readonly parts: readonly ModulationPart[];
  /** Weight bytes in float32. */
  readonly weightBytes: number;
  /** Conditioning vectors, one for each row, to `(R, sum of rows, D)`. */
  build(graph: GraphBuilder, conditioning: Node): Node;
}

/** Conditioning of a run: everything that depends on time and label but not on the latent. */
export interface Conditioning {
  /** Width D of a modulation vector. */
  readonly width: number;
  /** Width of the time features that `timeFeatures` makes. */
  readonly timeWidth: number;
  /** Sinusoidal features of a timestep, and what else the model is told of a step: `timeWidth` numbers. */
  timeFeatures(condition: Condition): Float32Array;
  /** Length of {@link Condition.vector}; absent where labels are indices. */
  readonly vectorWidth?: number;
  /** Time features `(R, timeWidth)` and labels `(R)`, or their vectors, to what all groups take: a vector for each row. */
  embed(graph: GraphBuilder, times: Node, labels: Node): Node;
  /** The modulations of all modules and of the head. */
  readonly groups: readonly ModulationGroup[];
}

/** What a run computes once, before its first step, and every graph of it may read. */
export interface Preparation {
  readonly inputs: readonly StreamShape[];
  /** Names of what it makes, which has a row for each of the batch; other constants are the same for all rows. */
  readonly outputs: readonly string[];
  /** Inputs to constants, by name. */
  build(graph: GraphBuilder, inputs: Streams): Streams;
}

/** A diffusion transformer, ready to be cut into graphs. */
export interface Transformer {
  /** Such as `"dit"`. */
  readonly architecture: string;
  /** Shapes of the streams between modules. */
  readonly streams: readonly StreamShape[];
  readonly embedding: Embedding;
  /** In execution order. */
  readonly modules: readonly Module[];
  readonly head: Head;
  /** How many modules make a group; a step may leave out the last groups. Absent = the model was not trained for that. */
  readonly depthGroup?: number;
  readonly conditioning: Conditioning;
  /** What a run computes once; absent = nothing. */
  readonly preparation?: Preparation;
  /** Sizes that shapes name, the batch apart, as costs assume them; graphs run at any. */
  readonly sizes?: Readonly<Record<string, number>>;
}

/** Where a module's modulation vectors come from. */
export function modulationOf(module: Module): readonly ModulationPart[] {
  return module.modulation ?? [{ name: module.name, rows: module.modulationRows }];
}

/** Name under which the head's modulation is kept. */
export const HEAD_MODULATION = "head";
