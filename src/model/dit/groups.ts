/**
 * A DiT of ODE_t(ODE_l), which was trained to do without its last groups of blocks, and for long steps: the outputs of
 * groups are added up, and blocks are told how long the step is and how many of them run.
 *
 * There time goes from noise at 0 to the picture at 1, and the velocity is picture − noise; here both are the other way
 * round, as in other flows.
 *
 * *Source:* arXiv 2506.21714; gudovskiy/odelt `model.py`, `helper_inference.py`.
 */

import type { GraphBuilder, Node } from "../../onnx/graph.ts";
import * as operators from "../../onnx/operators.ts";
import { embedder, TIME_WIDTH, timeFeatures } from "../blocks/time_features.ts";
import type {
  Conditioning,
  ModulationGroup,
  Module,
  StreamShape,
  Transformer,
} from "../module_graph.ts";
import type { DitConfig } from "./config.ts";
import { timeAndLabel } from "./embeddings.ts";

/** Modules of a block. */
const PER_BLOCK = 2;

/** Steps of 1/2^7 are the shortest of training. *Source:* `train.py`, `denoise_timesteps` 128. */
const SHORTEST = 7;

/** The sum of what groups put out: what the head reads. */
const SUM = "sum";
/** What the last block of a group begins with. */
const BEFORE = "before";

/** Puts the blocks of a plain DiT into groups. */
export function inGroups(plain: Transformer, config: DitConfig): Transformer {
  const x = plain.streams[0]!; // a plain one has no other
  const streams = [x, { ...x, name: SUM }];
  const perGroup = PER_BLOCK * config.depthGroup!; // the caller asked
  return {
    ...plain,
    streams,
    embedding: {
      ...plain.embedding,
      build: (graph, latent) => {
        const { x } = plain.embedding.build(graph, latent);
        return { x: x!, [SUM]: operators.subtract(graph, x!, x!) }; // nothing yet
      },
    },
    modules: plain.modules.map((module, index) => {
      const left = perGroup - index % perGroup; // of the group, with this one
      return left === 2 ? keepingInput(module, streams) : left === 1 ? addingUp(module) : module;
    }),
    head: {
      ...plain.head,
      reads: [SUM],
      build: (graph, streams, rows) =>
        operators.scaled(graph, plain.head.build(graph, { x: streams[SUM]! }, rows), -1),
    },
    depthGroup: perGroup,
    conditioning: tellingSteps(plain.conditioning, config),
  };
}

/** The attention of a group's last block, whose input is still needed. */
function keepingInput(module: Module, streams: readonly StreamShape[]): Module {
  return {
    ...module,
    streams: [...streams, { ...streams[0]!, name: BEFORE }],
    merge: (graph, before, rows, features) => ({
      ...module.merge(graph, before, rows, features),
      [BEFORE]: before["x"]!,
    }),
  };
}

/** The MLP of a group's last block: its output goes into the sum, and on top of the block's input into the next group. */
function addingUp(module: Module): Module {
  return {
    ...module,
    merge: (graph, streams, rows, features) => {
      const { x } = module.merge(graph, streams, rows, features);
      return {
        x: operators.add(graph, streams[BEFORE]!, x!),
        [SUM]: operators.add(graph, streams[SUM]!, x!),
      };
    },
  };
}

/** Conditioning vectors `(R, 2D)`: blocks take the first half, the head the second, which knows nothing of depth. */
function tellingSteps(plain: Conditioning, config: DitConfig): Conditioning {
  const { depth, hiddenSize: width } = config;
  return {
    ...plain,
    timeWidth: 2 * TIME_WIDTH + 1,
    timeFeatures: ({ time, length = 0, left = 0 }) =>
      Float32Array.of(
        ...timeFeatures(1 - time),
        ...timeFeatures(halvings(length)),
        depth - left / PER_BLOCK,
      ),
    embed(graph, features, labels): Node {
      const cut = (first: number, count: number): Node =>
        operators.slice(graph, features, { axis: 1, first, count });
      const told = operators.add(
        graph,
        timeAndLabel(graph, config, { times: cut(0, TIME_WIDTH), labels }),
        embedder(
          graph,
          cut(TIME_WIDTH, TIME_WIDTH),
          ["dt_embedder.mlp.0", "dt_embedder.mlp.2"],
          width,
        ),
      );
      const active = operators.reshape(graph, cut(2 * TIME_WIDTH, 1), labels.dims); // (R)
      const name = "depth_embedder.embedding_table.weight";
      const table = graph.parameter(name, [depth + 1, width]);
      const deep = operators.add(graph, told, operators.gatherRows(graph, table, active));
      return operators.silu(graph, operators.concat(graph, [deep, told], 1));
    },
    groups: plain.groups.map((group, i) =>
      reading(group, i === plain.groups.length - 1 ? width : 0, width)
    ),
  };
}

/** The step as one of 2^s: s, rounded down as there. */
function halvings(length: number): number {
  return Math.max(0, Math.min(SHORTEST, Math.floor(ROUNDED - Math.log2(length))));
}

/** Some solvers round times to thousandths, which makes steps of 1/64 0.016. */
const ROUNDED = 0.05;

/** A group that takes so much of conditioning vectors, from there. */
function reading(group: ModulationGroup, first: number, count: number): ModulationGroup {
  return {
    ...group,
    build: (graph: GraphBuilder, vectors) =>
      group.build(graph, operators.slice(graph, vectors, { axis: 1, first, count })),
  };
}
