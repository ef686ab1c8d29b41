/**
 * The modules of a single block. Attention and MLP read the same normed tokens, and one linear layer,
 * `proj_out`, takes both results. It is linear in each, so a feature is kept after its share of it: kept
 * features are D wide, and a block whose features are both reused runs no projection at all.
 *
 * Between the two modules, attention's share waits in a stream of its own.
 */

import type { GraphBuilder, Node } from "../../onnx/graph.ts";
import { linearLayer } from "../../onnx/linear.ts";
import * as operators from "../../onnx/operators.ts";
import { mix, project } from "../blocks/joint_attention.ts";
import { type FluxGeometry, mixingMacs, mixingOf } from "./attention.ts";
import { type FluxConfig, fluxWidth, MLP_RATIO } from "./config.ts";
import { dense, modulatedNorm } from "../layers.ts";
import type { BranchHalves, BranchOptions, Module, Streams } from "../module_graph.ts";
import type { TensorPart } from "../tensor_views.ts";

/** Attention, then MLP. */
export function singleModules(geometry: FluxGeometry, block: number): readonly Module[] {
  const prefix = `single_transformer_blocks.${block}`;
  return [attentionModule(geometry, prefix), mlpModule(geometry, prefix)];
}

/** The shares of every `proj_out`: attention's columns and the MLP's, by name. */
export function projectionShares(
  config: FluxConfig,
): ReadonlyMap<string, Required<Omit<TensorPart, "rows">>> {
  const width = fluxWidth(config);
  const shares = new Map<string, Required<Omit<TensorPart, "rows">>>();
  for (let block = 0; block < config.numSingleLayers; block++) {
    const prefix = `single_transformer_blocks.${block}`;
    const source = `${prefix}.proj_out.weight`;
    shares.set(shareName(prefix, "attn"), { source, columns: [0, width] });
    shares.set(shareName(prefix, "mlp"), { source, columns: [width, MLP_RATIO * width] });
  }
  return shares;
}

function shareName(prefix: string, part: "attn" | "mlp"): string {
  return `${prefix}.proj_out.${part}.weight`;
}

/** Stream in which attention's share waits for the MLP's, `(N, S, D)`. */
const SHARE = "share";

function attentionModule(geometry: FluxGeometry, prefix: string): Module {
  const tokens = geometry.sizes.T + geometry.sizes.M;
  const width = fluxWidth(geometry);
  const name = `${prefix}.attn`;
  const names = {
    linear: [`${name}.to_q`, `${name}.to_k`, `${name}.to_v`],
    norm: [`${name}.norm_q`, `${name}.norm_k`],
  } as const;
  return {
    ...sharedParts(geometry, prefix),
    name,
    streams: [...geometry.streams, { name: SHARE, dims: ["N", "M+T", width] }],
    macs: {
      branch: 4 * tokens * width ** 2 + mixingMacs(geometry, tokens),
      merge: tokens * width,
    },
    kinds: ["single_attn"],
    ...inHalves({
      inner(graph, streams, modulation, { onAttention } = {}): Node {
        const joint = normedTokens(graph, streams, modulation);
        const projections = project(graph, joint, names, geometry.numHeads);
        return mix(graph, projections, { ...mixingOf(geometry), onAttention });
      },
      finish: (graph, mixed) => [shareOf(graph, mixed, prefix, "attn")],
    }),
    merge: (graph, streams, _, [feature]) => {
      const bias = graph.parameter(`${prefix}.proj_out.bias`, [width]);
      return { ...streams, [SHARE]: operators.add(graph, feature!, bias) }; // one feature
    },
  };
}

function mlpModule(geometry: FluxGeometry, prefix: string): Module {
  const tokens = geometry.sizes.T + geometry.sizes.M;
  const width = fluxWidth(geometry);
  const hidden = MLP_RATIO * width;
  return {
    ...sharedParts(geometry, prefix),
    name: `${prefix}.mlp`,
    macs: { branch: 2 * tokens * width * hidden, merge: tokens * width },
    kinds: ["single_mlp"],
    tokens: { attention: `${prefix}.attn`, picture: "M" },
    ...inHalves({
      inner(graph, streams, modulation, options): Node {
        const joint = normedTokens(graph, streams, modulation, options);
        return operators.geluTanh(graph, dense(graph, joint, `${prefix}.proj_mlp`, hidden));
      },
      finish: (graph, raised) => [shareOf(graph, raised, prefix, "mlp")],
    }),
    merge(graph, { x, text, [SHARE]: share }, [, , gate], [feature]): Streams {
      // Both streams, the share and the gate are as declared above.
      const sum = operators.multiply(graph, gate!, operators.add(graph, share!, feature!));
      const [ofText, ofImage] = operators.splitTokens(graph, sum, { like: text!, rest: "T" });
      return { x: operators.add(graph, x!, ofImage), text: operators.add(graph, text!, ofText) };
    },
  };
}

/** Published calibrations measure before `proj_out`. */
function inHalves(halves: BranchHalves): Pick<Module, "halves" | "branch"> {
  const { inner, finish } = halves;
  return {
    halves,
    branch: (graph, streams, modulation, options) =>
      finish(graph, inner(graph, streams, modulation, options)),
  };
}

/** Both modules take shift, scale and gate of the block's one norm, and keep one feature. */
function sharedParts(
  geometry: FluxGeometry,
  prefix: string,
): Pick<Module, "modulationRows" | "modulation" | "featureDims"> {
  return {
    modulationRows: 3,
    modulation: [{ name: prefix, rows: 3 }],
    featureDims: [["N", "M+T", fluxWidth(geometry)]],
  };
}

function normedTokens(
  graph: GraphBuilder,
  { x, text }: Streams,
  [shift, scale]: readonly Node[],
  { pick = (_, all) => all }: BranchOptions = {},
): Node {
  const joint = operators.concat(graph, [text!, x!], 1); // FLUX has both streams
  return modulatedNorm(graph, pick(graph, joint), shift!, scale!); // three rows were declared
}

function shareOf(graph: GraphBuilder, x: Node, prefix: string, part: "attn" | "mlp"): Node {
  const width = part === "attn" ? Number(x.dims[2]) : Number(x.dims[2]) / MLP_RATIO;
  return linearLayer(graph, x, { weight: shareName(prefix, part), out: width });
}
