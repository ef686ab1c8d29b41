/**
 * What adaLN transformers share: layers that make the modulation vectors of modules, and the modules that
 * merge one feature into one stream through a gate.
 */

import type { Dim, GraphBuilder, Node } from "../../onnx/graph.ts";
import * as operators from "../../onnx/operators.ts";
import { dense, gatedAdd, modulatedNorm } from "../layers.ts";
import type { BranchOptions, ModulationGroup, ModulationPart, Module } from "../module_graph.ts";

/** A linear layer from conditioning to the vectors of some modules. */
export interface ModulationLayer {
  readonly weights: string;
  /** Whose vectors it yields, in order. */
  readonly parts: readonly ModulationPart[];
}

/** Modulation weights of one graph stay below this, or are one layer's: wasm's heap never shrinks again. */
const GROUP_BYTES = 4 << 20;

/** Layers, in groups whose vectors are computed in one graph: a session for each would take longer to load than to run. */
export function modulationGroups(
  layers: readonly ModulationLayer[],
  width: number,
): ModulationGroup[] {
  const bytesOf = ({ parts }: ModulationLayer): number => rowsOf(parts) * width * (width + 1) * 4;
  const groups: ModulationLayer[][] = [];
  let room = 0;
  for (const layer of layers) {
    const bytes = bytesOf(layer);
    if (bytes > room) {
      groups.push([]);
      room = GROUP_BYTES;
    }
    groups.at(-1)!.push(layer); // there is one: the room of none is 0
    room -= bytes;
  }
  return groups.map((group) => modulationGroup(group, width));
}

function modulationGroup(layers: readonly ModulationLayer[], width: number): ModulationGroup {
  const parts = layers.flatMap((layer) => layer.parts);
  return {
    parts,
    weightBytes: rowsOf(parts) * width * (width + 1) * 4,
    build(graph, conditioning): Node {
      const vectors = layers.map((layer) => vectorsOf(graph, conditioning, layer, width));
      return vectors.length === 1 ? vectors[0]! : operators.concat(graph, vectors, 1);
    },
  };
}

function vectorsOf(
  graph: GraphBuilder,
  conditioning: Node,
  { weights, parts }: ModulationLayer,
  width: number,
): Node {
  const rows = rowsOf(parts);
  const flat = dense(graph, conditioning, weights, rows * width); // (R, rows·D)
  return operators.reshape(graph, flat, [flat.dims[0]!, rows, width]);
}

function rowsOf(parts: readonly ModulationPart[]): number {
  return parts.reduce((sum, { rows }) => sum + rows, 0);
}

/** The parts of a gated module besides its inner layers. */
export interface GatedModule extends Pick<Module, "name" | "macs" | "tokens"> {
  /** Such as `attn`. */
  readonly kind: string;
  /** The stream that it reads and changes. */
  readonly stream: string;
  /** Shape of its feature, which is that of the stream. */
  readonly dims: readonly Dim[];
}

/** A module of one stream: inner layers on the modulated norm, whose result is added through a gate. */
export function gatedModule(
  { name, macs, kind, stream, dims, tokens }: GatedModule,
  inner: (graph: GraphBuilder, x: Node, options: BranchOptions) => Node,
): Module {
  return {
    name,
    macs,
    ...(tokens !== undefined && { tokens }),
    kinds: [kind],
    modulationRows: 3,
    featureDims: [dims],
    // The stream, three rows and one feature are as declared just above.
    branch(graph, streams, [shift, scale], options = {}): Node[] {
      const { pick = (_, all) => all } = options;
      const x = pick(graph, streams[stream]!);
      return [inner(graph, modulatedNorm(graph, x, shift!, scale!), options)];
    },
    merge: (graph, streams, [, , gate], [feature]) => ({
      ...streams,
      [stream]: gatedAdd(graph, streams[stream]!, gate!, feature!),
    }),
  };
}
