/**
 * How fast a step is, against one monolithic graph of the same model by the same writer.
 *
 *     deno task bench                                     every model on every provider found
 *     deno task bench --model DiT-S/2 --backend wasm      one of them
 *     deno task bench --rows 20                           another batch (2 is one guided picture)
 *
 * Three forms of the same step alternate in one process, and medians are compared:
 * - `segments`: as the engine runs it, conditioning computed ahead;
 * - `strict`: one graph of all modules, fed the same conditioning;
 * - `plain`: one graph that computes conditioning inside of the step, as an export does.
 */
import process from "node:process";
import { parseArgs } from "../parse_args.ts";
import type { Backend, BackendName, Session, Value } from "../../src/backend/backend.ts";
import { openBackend } from "../../src/backend/select.ts";
import { computeConditioning } from "../../src/engine/conditioning.ts";
import { Executor } from "../../src/engine/executor.ts";
import { FeatureCache } from "../../src/engine/feature_cache.ts";
import { EMBEDDING, fullStep, HEAD, moduleParts } from "../../src/engine/segment/step_segments.ts";
import { FASHION_DIT } from "../fashion_dit.ts";
import { buildSegment, modulated } from "../../src/engine/segment/segment.ts";
import { loadWithWeights } from "../../src/engine/load_graph.ts";
import { dit } from "../../src/model/dit/dit.ts";
import { openModel } from "../../src/model/open_model.ts";
import type { Transformer } from "../../src/model/module_graph.ts";
import { GraphBuilder } from "../../src/onnx/graph.ts";
import { encodeModel } from "../../src/onnx/model_proto.ts";
import { add, slice } from "../../src/onnx/operators.ts";
import type { Weights } from "../../src/assets/weights.ts";
import { publishedConfig, randomNumbers, randomWeights } from "../make/random_weights.ts";
import { elementCount, type Tensor } from "../../src/tensor/tensor.ts";
import { usableBackends } from "./usable_backends.ts";

interface Subject {
  readonly transformer: Transformer;
  readonly weights: Weights;
  readonly latent: readonly number[];
  close(): Promise<void>;
}

interface Measured {
  readonly model: string;
  readonly backend: string;
  readonly rows: number;
  readonly segmentsMs: number;
  readonly strictRatio: number;
  readonly plainRatio: number;
  readonly stepGflops: number;
  readonly blockGflops: number;
  readonly runsPerStep: number;
  readonly runMicroseconds: number;
  readonly peakMiB: number;
}

const MODELS = ["fashion-dit", "DiT-S/2", "DiT-B/4"];
const CONDITION = { time: 500, label: 1 };

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    backend: { type: "string" },
    rows: { type: "string", default: "2" },
    rounds: { type: "string", default: "11" },
  },
});
if (values.model !== undefined && values.backend !== undefined) {
  const rounds = Number(values.rounds);
  const measured = await measure(
    values.model,
    values.backend as BackendName,
    Number(values.rows),
    rounds,
  );
  console.log(JSON.stringify(measured));
} else {
  await measureAll();
}

/** A process for each pair, so that peak memory is that of one model on one provider. */
async function measureAll(): Promise<void> {
  const header =
    "model        rows  ms/step  /strict  /plain  GFLOP/s  block  runs  us/run  peak MiB  backend";
  console.log(header);
  for (const backend of values.backend === undefined ? await usableBackends() : [values.backend]) {
    for (const model of values.model === undefined ? MODELS : [values.model]) {
      const args = ["--model", model, "--backend", backend, "--rows", values.rows];
      const rounds = backend === "webgpu" ? "3" : values.rounds;
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", import.meta.filename!, ...args, "--rounds", rounds], // a file
        stderr: "null",
      });
      const { success, stdout } = await child.output();
      const text = new TextDecoder().decode(stdout);
      console.log(success ? tableRow(JSON.parse(text)) : `${model} on ${backend} failed`);
    }
  }
}

function tableRow(m: Measured): string {
  return [
    m.model.padEnd(11),
    `${m.rows}`.padStart(5),
    m.segmentsMs.toFixed(1).padStart(8),
    m.strictRatio.toFixed(3).padStart(8),
    m.plainRatio.toFixed(3).padStart(7),
    m.stepGflops.toFixed(1).padStart(8),
    m.blockGflops.toFixed(1).padStart(6),
    `${m.runsPerStep}`.padStart(5),
    m.runMicroseconds.toFixed(0).padStart(7),
    m.peakMiB.toFixed(0).padStart(9),
    ` ${m.backend}`,
  ].join(" ");
}

async function open(model: string): Promise<Subject> {
  if (model === "fashion-dit") return await openModel(FASHION_DIT);
  const config = publishedConfig(model);
  return {
    transformer: dit(config),
    weights: randomWeights(config),
    latent: [config.inChannels, config.inputSize, config.inputSize],
    close: () => Promise.resolve(),
  };
}

async function measure(
  model: string,
  name: BackendName,
  rows: number,
  rounds: number,
): Promise<Measured> {
  const subject = await open(model);
  const { transformer, weights } = subject;
  const { backend } = await openBackend({ backend: name });
  const batch = Array.from({ length: rows }, () => CONDITION);
  const table = await computeConditioning(batch, {
    backend,
    weights,
    conditioning: transformer.conditioning,
  });
  const dims = [rows, ...subject.latent];
  const latent: Tensor = { dims, data: randomNumbers(elementCount(dims), 1) };
  const executor = new Executor(backend, transformer, weights);
  const step = fullStep(transformer.modules.length);
  const modules = moduleParts(step);
  const all = [EMBEDDING, ...modules, HEAD];
  const strict = await loadWithWeights(backend, buildSegment(transformer, all), weights);
  const plain = await loadWithWeights(backend, plainGraph(transformer), weights);
  const block = await loadWithWeights(
    backend,
    buildSegment(transformer, modules.slice(0, 2)),
    weights,
  );
  const { width, timeWidth, timeFeatures } = transformer.conditioning;
  const times = new Float32Array(rows * timeWidth);
  batch.forEach((condition, row) => times.set(timeFeatures(condition), row * timeWidth));
  const modulation = table.gather(modulated(transformer, all), batch);
  const [stream] = transformer.streams;
  const streamDims = [rows, ...stream!.dims.slice(1).map(Number)]; // DiT has one stream
  const blockInputs = {
    [`${stream!.name}.in`]: { dims: streamDims, data: randomNumbers(elementCount(streamDims), 2) },
    modulation: { dims: [rows, 6, width], data: randomNumbers(rows * 6 * width, 3) },
  };
  const [segmentsMs, strictMs, plainMs, blockMs] = await medians(rounds, [
    () => executor.runStep(step, { latent, batch, table, features: new FeatureCache() }),
    () => runGraph(backend, strict, { latent, modulation }, "prediction"),
    () =>
      runGraph(backend, plain, {
        latent,
        times: { dims: [rows, timeWidth], data: times },
        labels: { dims: [rows], data: new Float32Array(rows).fill(CONDITION.label) },
      }, "prediction"),
    () => runGraph(backend, block, blockInputs, stream!.name),
  ]);
  const runMicroseconds = await hostCost(backend);
  for (const session of [strict, plain, block]) await session.dispose();
  await executor.dispose();
  await backend.dispose();
  await subject.close();
  return {
    model,
    backend: backend.description,
    rows,
    segmentsMs: segmentsMs!,
    strictRatio: segmentsMs! / strictMs!,
    plainRatio: segmentsMs! / plainMs!,
    stepGflops: gflops(stepMacs(transformer) * rows, segmentsMs!),
    blockGflops: gflops(sumMacs(transformer.modules.slice(0, 2)) * rows, blockMs!),
    runsPerStep: executor.runsPerStep,
    runMicroseconds,
    peakMiB: process.resourceUsage().maxRSS / 1024,
  };
}

/** Everything in one graph, conditioning included: latent, time features and labels in. */
function plainGraph({ embedding, modules, head, conditioning }: Transformer): GraphBuilder {
  const graph = new GraphBuilder("plain");
  const times = graph.input("times", ["N", conditioning.timeWidth]);
  const vectors = conditioning.embed(graph, times, graph.input("labels", ["N"]));
  const rows = conditioning.groups.flatMap((group) => {
    const all = group.build(graph, vectors);
    const count = group.parts.reduce((sum, part) => sum + part.rows, 0);
    return Array.from(
      { length: count },
      (_, first) => slice(graph, all, { axis: 1, first, count: 1 }),
    );
  });
  let streams = embedding.build(graph, graph.input("latent", embedding.latentDims));
  let next = 0;
  for (const module of modules) {
    const modulation = rows.slice(next, next += module.modulationRows);
    streams = module.merge(graph, streams, modulation, module.branch(graph, streams, modulation));
  }
  graph.output("prediction", head.build(graph, streams, rows.slice(next)));
  return graph;
}

/** Runs every task once to warm up, then round by round in turn. */
async function medians(
  rounds: number,
  tasks: readonly (() => Promise<unknown>)[],
): Promise<number[]> {
  for (const task of tasks) await task();
  const times = tasks.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, task] of tasks.entries()) {
      const start = performance.now();
      await task();
      times[i]!.push(performance.now() - start); // one list a task
    }
  }
  return times.map((list) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)]!);
}

async function runGraph(
  backend: Backend,
  session: Session,
  inputs: Readonly<Record<string, Tensor>>,
  output: string,
): Promise<Tensor> {
  const uploaded: Record<string, Value> = {};
  for (const [name, tensor] of Object.entries(inputs)) uploaded[name] = backend.upload(tensor);
  const results = await session.run(uploaded, [output]);
  const tensor = await backend.download(results[output]!); // as asked
  [...Object.values(uploaded), ...Object.values(results)].forEach((value) => value.dispose());
  return tensor;
}

/** Microseconds of one run of a graph that computes nothing to speak of. */
async function hostCost(backend: Backend): Promise<number> {
  const graph = new GraphBuilder("tiny");
  const x = graph.input("x", [1]);
  graph.output("y", add(graph, x, x));
  const session = await backend.load(encodeModel(graph));
  const value = backend.upload({ dims: [1], data: new Float32Array(1) });
  const [milliseconds] = await medians(200, [async () => {
    const { y } = await session.run({ x: value }, ["y"]);
    y!.dispose(); // as asked
  }]);
  value.dispose();
  await session.dispose();
  return milliseconds! * 1000;
}

function stepMacs({ embedding, modules, head }: Transformer): number {
  return embedding.macs + sumMacs(modules) + head.macs;
}

function sumMacs(modules: Transformer["modules"]): number {
  return modules.reduce((sum, { macs }) => sum + macs.branch + macs.merge, 0);
}

function gflops(macs: number, milliseconds: number): number {
  return 2 * macs / milliseconds / 1e6;
}
