/**
 * Segments: stretches of a step that run as one graph.
 *
 * A backend that binds weights as initializers runs one part per session; one that shares weights as
 * inputs runs as many parts in one graph as the plan lets it.
 */

import { type Dim, GraphBuilder, type Node } from "../../onnx/graph.ts";
import type { LinearLowering } from "../../onnx/graph.ts";
import { add, identity, slice, subtract } from "../../onnx/operators.ts";
import { type Cell, CELLS, loadsOf } from "../../plan/cells.ts";
import {
  HEAD_MODULATION,
  modulationOf,
  type ModulationPart,
  type Module,
  type Streams,
  type StreamShape,
  type Transformer,
} from "../../model/module_graph.ts";
import type { GraphRecipe } from "../load_graph.ts";
import { featureName, FROM_KEPT, keptInputs, weightReader } from "./kept_features.ts";
import { attendedName, attendedOutput, partialBranch } from "./partial.ts";

export type Part =
  | { readonly kind: "embedding" }
  | {
    readonly kind: "module";
    /** Index in execution order. */
    readonly index: number;
    /** Run the branch, or merge a feature made of those that earlier steps kept. */
    readonly action: Exclude<Cell, "skip">;
    /** Whether the feature is an output of the graph. */
    readonly store: boolean;
    /** Whether what lies between the halves of the branch is also an output: for calibration only. */
    readonly probe?: boolean;
    /** Whether what an attention's tokens are attended to is also an output: partial cells are chosen by it. */
    readonly attended?: boolean;
    /** Of a forecast: what its kept features count for, the latest first. */
    readonly weights?: readonly number[];
  }
  | { readonly kind: "head" };

/** A module of a step. */
export type ModulePart = Extract<Part, { kind: "module" }>;

/** Parts that run as one graph: at least one, in execution order. */
export type Segment = readonly Part[];

/** Name of the graph input that holds the modulation vectors of all parts, `(N, rows, D)`. */
export const MODULATION = "modulation";
/** Name of the graph output of the head. */
export const PREDICTION = "prediction";
/** Name of the graph input of the embedding. */
export const LATENT = "latent";

/** A shape with the batch and other named sizes filled in. */
export function withBatch(
  dims: readonly Dim[],
  rows: number,
  sizes: Transformer["sizes"] = {},
): number[] {
  return dims.map((size) => (size === "N" ? rows : Number(sizes[size] ?? size)));
}

/** The streams of a kept state: those that the head reads. */
export function stateStreams({ streams, head: { reads } }: Transformer): readonly StreamShape[] {
  return reads === undefined ? streams : streams.filter(({ name }) => reads.includes(name));
}

/** Name of what lies between the halves of a module's branch, as graph output. */
export function innerName(module: string): string {
  return `inner.${module}`;
}

/** Names of the parts that take modulation vectors, with their row counts, in order. */
export function modulated(
  transformer: Transformer,
  segment: Segment,
): ModulationPart[] {
  return segment.flatMap((part) => {
    if (part.kind === "embedding") return [];
    if (part.kind === "head") {
      return [{ name: HEAD_MODULATION, rows: transformer.head.modulationRows }];
    }
    return modulationOf(transformer.modules[part.index]!); // parts are made from this transformer
  });
}

/** The weights of the features that a segment forecasts, one after the other. */
export function forecastWeights(segment: Segment): readonly number[] {
  return segment.flatMap((part) => part.kind === "module" ? part.weights ?? [] : []);
}

/** Names of a segment's outputs: streams or prediction, and the features it stores. */
export function segmentOutputs(transformer: Transformer, segment: Segment): string[] {
  const features = segment.flatMap((part) => {
    if (part.kind !== "module" || !part.store) return [];
    const module = transformer.modules[part.index]!; // parts are made from this transformer
    const inner = part.probe ? [innerName(module.name)] : [];
    return [...module.featureDims.map((_, i) => featureName(module.name, i)), ...inner];
  });
  const attended = segment.flatMap((part) => {
    if (part.kind !== "module" || !part.attended) return [];
    return [attendedName(transformer.modules[part.index]!.name)]; // parts are made from this transformer
  });
  const ends = segment.at(-1)?.kind === "head"
    ? [PREDICTION]
    : streamsAfter(transformer, segment.at(-1)).map(({ name }) => name);
  return [...ends, ...features, ...attended];
}

/** Streams after a part; after the embedding if there is none. */
function streamsAfter(transformer: Transformer, part: Part | undefined): readonly StreamShape[] {
  const module = part?.kind === "module" ? transformer.modules[part.index] : undefined;
  return module?.streams ?? transformer.streams;
}

/** The streams that a segment begins with; the head may start from a kept state. */
function streamsBefore(transformer: Transformer, segment: Segment): readonly StreamShape[] {
  const first = segment[0];
  if (first?.kind === "head") return stateStreams(transformer);
  if (first?.kind !== "module" || first.index === 0) return transformer.streams;
  return transformer.modules[first.index - 1]!.streams ?? transformer.streams; // not the first
}

/** A short key, equal for segments with the same graph. */
export function segmentKey(segment: Segment): string {
  const marks = segment.map((part) => {
    if (part.kind !== "module") return part.kind;
    const results = `${part.store ? "s" : ""}${part.probe ? "p" : ""}${part.attended ? "a" : ""}`;
    return `${part.index}${CELLS[part.action].mark}${part.weights?.length ?? ""}${results}`;
  });
  return marks.join(" ");
}

/** Builds the graph of a segment; weights are parameters, linear layers of branches are built by `lowering`. */
export function buildSegment(
  transformer: Transformer,
  segment: Segment,
  lowering?: LinearLowering,
): GraphBuilder {
  const graph = new GraphBuilder(segmentKey(segment));
  const take: Readers = {
    modulation: modulationReader(transformer, segment, graph),
    weights: weightReader(forecastWeights(segment).length, graph),
  };
  const first = segment[0];
  let streams: Streams = first?.kind === "embedding"
    ? {}
    : inputStreams(streamsBefore(transformer, segment), graph);
  for (const part of segment) {
    if (part.kind === "embedding") {
      const { embedding } = transformer;
      streams = embedding.build(graph, graph.input(LATENT, embedding.latentDims));
    } else if (part.kind === "module") {
      const module = part;
      const before = streams;
      streams = graph.lowered(
        lowering,
        () => addModule(transformer, graph, module, { streams: before, take }),
      );
    } else {
      const modulation = take.modulation(transformer.head.modulationRows);
      graph.output(PREDICTION, transformer.head.build(graph, streams, modulation));
    }
  }
  if (segment.at(-1)?.kind !== "head") outputStreams(graph, streams);
  return graph;
}

/** Read what comes next of an input that holds something of several parts. */
interface Readers {
  /** So many modulation vectors, each `(N, 1, D)`. */
  readonly modulation: (rows: number) => readonly Node[];
  /** So many weights, each `(1)`. */
  readonly weights: (count: number) => readonly Node[];
}

function addModule(
  transformer: Transformer,
  graph: GraphBuilder,
  part: ModulePart,
  { streams, take }: { readonly streams: Streams; readonly take: Readers },
): Streams {
  const module = transformer.modules[part.index]!; // parts are made from this transformer
  const modulation = take.modulation(module.modulationRows);
  const features = featuresOf(part, graph, module, { streams, modulation, take });
  if (part.store) features.forEach((node, i) => graph.output(featureName(module.name, i), node));
  return module.merge(graph, streams, modulation, features);
}

/** What a branch takes. */
interface BranchInputs {
  readonly streams: Streams;
  readonly modulation: readonly Node[];
}

/** Features of a module: made by its branch, or of those that were kept. */
function featuresOf(
  part: ModulePart,
  graph: GraphBuilder,
  module: Module,
  { take, ...inputs }: BranchInputs & { readonly take: Readers },
): readonly Node[] {
  if (part.action === "run") return runBranch(part, graph, module, inputs);
  if (part.action === "partial") return partialBranch(graph, module, inputs);
  const kept = keptInputs(graph, module, loadsOf(part.action, part.weights));
  return FROM_KEPT[part.action](graph, kept, take.weights(part.weights?.length ?? 0));
}

/** Features of a module; what a part also asks for is an output. */
function runBranch(
  { probe = false, attended = false }: ModulePart,
  graph: GraphBuilder,
  { name, halves, branch }: Module,
  { streams, modulation }: BranchInputs,
): readonly Node[] {
  const options = attended ? { onAttention: attendedOutput(graph, name) } : {};
  if (!probe || halves === undefined) return branch(graph, streams, modulation, options);
  const inner = halves.inner(graph, streams, modulation, options);
  graph.output(innerName(name), inner);
  return halves.finish(graph, inner);
}

/** The graph that combines streams element by element with others of the same shape. */
export function combinationRecipe(
  transformer: Transformer,
  operator: "add" | "subtract",
): GraphRecipe {
  const combine = operator === "add" ? add : subtract;
  return {
    key: operator,
    build(): GraphBuilder {
      const graph = new GraphBuilder(operator);
      for (const { name, dims } of stateStreams(transformer)) {
        const other = graph.input(otherName(name), dims);
        graph.output(name, combine(graph, graph.input(`${name}.in`, dims), other));
      }
      return graph;
    },
  };
}

/** Name of the second operand of a combination. */
export function otherName(stream: string): string {
  return `${stream}.other`;
}

/** Returns a reader of the rows of the segment's modulation input `(N, rows, D)`, each as `(N, 1, D)`. */
function modulationReader(
  transformer: Transformer,
  segment: Segment,
  graph: GraphBuilder,
): (rows: number) => readonly Node[] {
  const total = modulated(transformer, segment).reduce((sum, { rows }) => sum + rows, 0);
  if (total === 0) return () => [];
  const all = graph.input(MODULATION, ["N", total, transformer.conditioning.width]);
  let next = 0;
  return (rows) =>
    Array.from({ length: rows }, () => slice(graph, all, { axis: 1, first: next++, count: 1 }));
}

function inputStreams(streams: readonly StreamShape[], graph: GraphBuilder): Streams {
  return Object.fromEntries(
    streams.map(({ name, dims }) => [name, graph.input(`${name}.in`, dims)]),
  );
}

/** A stream that no part of the segment wrote is copied to the output. */
function outputStreams(graph: GraphBuilder, streams: Streams): void {
  for (const [name, node] of Object.entries(streams)) {
    graph.output(name, graph.inputs.includes(node) ? identity(graph, node) : node);
  }
}
