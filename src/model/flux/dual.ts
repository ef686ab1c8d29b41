/**
 * The modules of a dual block: one joint attention with two outputs, and an MLP for each side.
 */

import type { GraphBuilder, Node } from "../../onnx/graph.ts";
import * as operators from "../../onnx/operators.ts";
import {
  type Mixing,
  mixJointly,
  project,
  type ProjectionNames,
} from "../blocks/joint_attention.ts";
import { gatedModule } from "../blocks/modulation.ts";
import { type FluxGeometry, mixingMacs, mixingOf } from "./attention.ts";
import { fluxWidth, MLP_RATIO } from "./config.ts";
import { dense, feedForward, gatedAdd, modulatedNorm } from "../layers.ts";
import type { Module, ModuleTokens } from "../module_graph.ts";

/** Attention, then the MLP of the image, then that of the text. */
export function dualModules(geometry: FluxGeometry, block: number): readonly Module[] {
  const prefix = `transformer_blocks.${block}`;
  return [
    jointAttention(geometry, prefix),
    sideMlp(geometry, prefix, {
      ...{ kind: "ff", weights: "ff", stream: "x", size: "T" },
      place: { first: "M", picture: 0 }, // text comes first in attention
    }),
    sideMlp(geometry, prefix, {
      ...{ kind: "context_ff", weights: "ff_context", stream: "text", size: "M" },
      place: {},
    }),
  ];
}

/** Name of the part of the table that holds the text side's vectors of a joint attention. */
export function contextPart(attention: string): string {
  return `${attention}.context`;
}

function jointAttention(geometry: FluxGeometry, prefix: string): Module {
  const { sizes: { T, M } } = geometry;
  const width = fluxWidth(geometry);
  const name = `${prefix}.attn`;
  return {
    name,
    modulationRows: 6,
    modulation: [{ name, rows: 3 }, { name: contextPart(name), rows: 3 }],
    featureDims: [["N", "T", width], ["N", "M", width]],
    kinds: ["attn", "context_attn"],
    macs: {
      branch: 4 * (T + M) * width ** 2 + mixingMacs(geometry, T + M),
      merge: (T + M) * width,
    },
    branch(graph, streams, [shift, scale, , textShift, textScale], options = {}): Node[] {
      // Streams and rows are as declared here and in flux.ts.
      const x = modulatedNorm(graph, streams["x"]!, shift!, scale!);
      const text = modulatedNorm(graph, streams["text"]!, textShift!, textScale!);
      const { onAttention } = options;
      return mixSides(graph, { x, text, name }, { ...mixingOf(geometry), onAttention });
    },
    merge: (graph, streams, [, , gate, , , textGate], [feature, textFeature]) => ({
      x: gatedAdd(graph, streams["x"]!, gate!, feature!),
      text: gatedAdd(graph, streams["text"]!, textGate!, textFeature!),
    }),
  };
}

/** Image and text outputs of attention over both, text first. */
function mixSides(
  graph: GraphBuilder,
  { x, text, name }: { readonly x: Node; readonly text: Node; readonly name: string },
  mixing: Mixing,
): Node[] {
  const width = Number(x.dims[2]);
  const second = project(graph, x, namesUnder(name, IMAGE), mixing.heads);
  const first = project(graph, text, namesUnder(name, CONTEXT), mixing.heads);
  const mixed = mixJointly(graph, { first, second }, mixing);
  const [ofText, ofImage] = operators.splitTokens(graph, mixed, { like: text, rest: "T" });
  return [
    dense(graph, ofImage, `${name}.to_out.0`, width),
    dense(graph, ofText, `${name}.to_add_out`, width),
  ];
}

const IMAGE: ProjectionNames = { linear: ["to_q", "to_k", "to_v"], norm: ["norm_q", "norm_k"] };
const CONTEXT: ProjectionNames = {
  linear: ["add_q_proj", "add_k_proj", "add_v_proj"],
  norm: ["norm_added_q", "norm_added_k"],
};

function namesUnder(
  prefix: string,
  { linear: [q, k, v], norm: [a, b] }: ProjectionNames,
): ProjectionNames {
  const under = (name: string): string => `${prefix}.${name}`;
  return { linear: [under(q), under(k), under(v)], norm: [under(a), under(b)] };
}

interface Side {
  readonly kind: string;
  readonly weights: string;
  readonly stream: "x" | "text";
  readonly size: "T" | "M";
  /** Where its tokens stand in attention. */
  readonly place: Pick<ModuleTokens, "first" | "picture">;
}

function sideMlp(
  geometry: FluxGeometry,
  prefix: string,
  { kind, weights, stream, size, place }: Side,
): Module {
  const width = fluxWidth(geometry);
  const hidden = MLP_RATIO * width;
  const tokens = geometry.sizes[size];
  const macs = { branch: 2 * tokens * width * hidden, merge: tokens * width };
  const layers = `${prefix}.${weights}.net`;
  const own = { attention: `${prefix}.attn`, ...place };
  return gatedModule(
    { name: `${prefix}.${kind}`, kind, stream, dims: ["N", size, width], macs, tokens: own },
    (graph, x) => feedForward(graph, x, [`${layers}.0.proj`, `${layers}.2`], hidden),
  );
}
