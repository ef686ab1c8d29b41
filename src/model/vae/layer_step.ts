/**
 * What both halves of an autoencoder are made of: layers that take a picture of any size, and the middle at the
 * latent's size, cut into graphs.
 *
 * Each graph takes a picture `x` `(1, C, H, W)` to `y`, one residual layer at most, so that little memory is used
 * at a time and a caller can stop between them.
 *
 * *Source:* diffusers `autoencoders/vae.py`, `unets/unet_2d_blocks.py` `UNetMidBlock2D`.
 */

import { GraphBuilder, type Node } from "../../onnx/graph.ts";
import { attention } from "../../onnx/operators.ts";
import * as blocks from "./blocks.ts";
import type { VaeConfig } from "./config.ts";

/** The middle: before attention, attention, and after it. */
export interface MiddleGraphs {
  /** `x` to `y`, and to `q`, `k` and `v` `(1, H·W, C)` where there is attention. */
  readonly before: GraphBuilder;
  /** `q` of any number of pixels, `k` and `v` of all to `y`, shaped as `q`; absent = none. */
  readonly attention?: GraphBuilder;
  /** `x`, and `mixed` `(1, H·W, C)` where there is attention, to `y`; absent = nothing is left to do. */
  readonly after?: GraphBuilder;
}

/**
 * One step of a half, with at most one 3 × 3 convolution, from `x` to `y`; a norm comes first, and can be given
 * statistics ({@link blocks.partNorm}).
 *
 * - `enter`: the first part of a residual layer. Where channels change it has a second output `round`;
 *   where not, `x` itself is the shortcut.
 * - `within`: another part of it, which the shortcut bypasses.
 * - `leave`: the last part, with a second input `skip`.
 * - `double`: twice the size; `halve`: half of it.
 * - `end`: from the picture, or to it.
 */
export interface LayerStep extends GraphStep {
  /** Channels of `x`. */
  readonly channels: number;
  /** Adds it to a graph; norms are those of that graph. */
  readonly build: StepBuild;
}

/** A graph on the way of a picture: one step, or several as one, which end as this kind does. */
export interface GraphStep {
  readonly kind: "enter" | "within" | "leave" | "double" | "halve" | "end";
  /** Built when it is first asked for. */
  readonly graph: GraphBuilder;
}

/** The picture in a graph, and the shortcut around the residual layer that it is in. */
export interface Streams {
  readonly x: Node;
  readonly skip?: Node | undefined;
}

export type StepBuild = (graph: GraphBuilder, streams: Streams, norm: blocks.Norm) => Streams;

/** A graph from `x` to `y`. */
export function graphOf(
  name: string,
  channels: number,
  build: (graph: GraphBuilder, x: Node) => Node,
): GraphBuilder {
  const graph = new GraphBuilder(name);
  graph.output("y", build(graph, graph.input("x", [1, channels, "H", "W"])));
  return graph;
}

/** A step; norms of its own graph can be given statistics. */
export function layerStep(
  { name, groups = 1, ...step }: Pick<LayerStep, "kind" | "channels"> & {
    readonly name: string;
    /** Of its norm, where it has one. */
    readonly groups?: number;
  },
  build: StepBuild,
): LayerStep {
  let graph: GraphBuilder | undefined;
  return {
    ...step,
    build,
    get graph(): GraphBuilder {
      graph ??= stepsGraph(name, [{ ...step, build }], blocks.partNorm(groups));
      return graph;
    },
  };
}

/** Steps one after another in one graph. */
function stepsGraph(
  name: string,
  steps: readonly Omit<LayerStep, "graph">[],
  norm: blocks.Norm,
): GraphBuilder {
  const graph = new GraphBuilder(name);
  const { kind, channels } = steps[0]!; // there is a step
  const x = graph.input("x", [1, channels, "H", "W"]);
  const given = kind === "leave" ? [x, graph.input("skip", x.dims)] : [x];
  const first: Streams = { x, skip: given[1] };
  const last = steps.reduce((streams, { build }) => build(graph, streams, norm), first);
  graph.output("y", last.x);
  if (last.skip !== undefined && !given.includes(last.skip)) graph.output("round", last.skip);
  return graph;
}

/**
 * Steps for a whole picture, in fewer graphs, whose norms have their own statistics. Each graph goes from where a
 * shortcut ends to where the next one has begun: a runtime that sees both ends of one adds it inside of a
 * convolution, which rounds otherwise.
 */
export function inFewGraphs(steps: readonly LayerStep[], groups: number): readonly GraphStep[] {
  const chains: LayerStep[][] = [];
  for (const step of steps) {
    const before = chains.at(-1)?.at(-1)?.kind ?? "enter";
    if (before === "enter" || before === "within") chains.push([step]);
    else chains.at(-1)!.push(step); // there is one before
  }
  return chains.map((chain, i) => {
    let graph: GraphBuilder | undefined;
    return {
      kind: chain.at(-1)!.kind,
      get graph(): GraphBuilder {
        graph ??= stepsGraph(`decoder.up.${i}`, chain, blocks.ownNorm(groups));
        return graph;
      },
    };
  });
}

/** The parts of a residual layer. */
export function residualSteps(
  channels: number,
  { groups, ...layer }: Omit<blocks.Residual, "norm"> & { readonly groups: number },
): LayerStep[] {
  const enter = { kind: "enter", name: `${layer.name}.enter`, channels, groups } as const;
  const leave = {
    kind: "leave",
    name: `${layer.name}.leave`,
    channels: layer.out,
    groups,
  } as const;
  return [
    layerStep(enter, (graph, { x }, norm) => {
      const changes = blocks.changesChannels(x, layer);
      const skip = changes ? blocks.shortcut(graph, x, layer) : x;
      return { x: blocks.enterResnet(graph, x, { ...layer, norm }), skip };
    }),
    layerStep(leave, (graph, { x, skip }, norm) => ({
      x: blocks.leaveResnet(graph, x, { ...layer, norm, skip: skip! }), // its graph is given one
    })),
  ];
}

/**
 * Receptive radius of a result's pixel, in latent pixels, ignoring norms: every 3 × 3 convolution adds one of its
 * own pixels.
 *
 * @param first A pixel of what the steps begin with, in latent pixels.
 */
export function reachOf(steps: readonly LayerStep[], first = 1): number {
  let [pixel, reach] = [first, 0];
  for (const { kind } of steps) {
    if (kind === "double") pixel /= 2;
    reach += pixel;
    if (kind === "halve") pixel *= 2;
  }
  return Math.ceil(reach);
}

/** Attention of the middle, by its name in files. */
export const ATTENTION = "mid_block.attentions.0";

/** A half's middle: two residual layers with attention between them, and what the half has around them. */
export interface Middle {
  readonly half: "encoder" | "decoder";
  readonly names: blocks.AttentionNames;
  /** Channels of what comes in. */
  readonly channels: number;
  /** From there to the middle's own width. */
  enter?(graph: GraphBuilder, x: Node): Node;
  /** From the middle's width to its result. */
  leave?(graph: GraphBuilder, x: Node): Node;
}

/** The graphs of a half's middle. */
export function middleGraphs(
  { blockChannels, groups, attention }: VaeConfig,
  { half, names, channels, enter, leave }: Middle,
): MiddleGraphs {
  const [norm, width] = [blocks.ownNorm(groups), blockChannels.at(-1)!]; // there is a level
  const layer = (graph: GraphBuilder, x: Node, index: number): Node =>
    blocks.resnet(graph, x, { name: `${half}.mid_block.resnets.${index}`, out: width, norm });
  const name = `${half}.${ATTENTION}`;
  const before = graphOf(`${half}.mid_block.before`, channels, (graph, x) => {
    const y = layer(graph, enter?.(graph, x) ?? x, 0);
    if (!attention) return y;
    const inputs = blocks.attentionInputs(graph, y, { name, names, norm });
    ["q", "k", "v"].forEach((output, i) => graph.output(output, inputs[i]!));
    return y;
  });
  const after = graphOf(`${half}.mid_block.after`, width, (graph, x) => {
    const mixed = attention && graph.input("mixed", [1, "H*W", width]);
    const y = mixed ? blocks.attentionResult(graph, x, { name, names, mixed }) : x;
    const raised = layer(graph, y, 1);
    return leave?.(graph, raised) ?? raised;
  });
  if (!attention) return { before, after };
  return { before, attention: attentionGraph(`${half}.mid_block.attention`, width), after };
}

function attentionGraph(name: string, width: number): GraphBuilder {
  const graph = new GraphBuilder(name);
  const q = graph.input("q", [1, "queries", width]);
  const [k, v] = ["k", "v"].map((input) => graph.input(input, [1, "pixels", width]));
  graph.output("y", attention(graph, [q, k!, v!], 1));
  return graph;
}
