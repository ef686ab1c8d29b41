/**
 * What weights in integers save and cost: bytes, seconds of a step in turn with float32, and how near the
 * results stay.
 *
 *     deno task bench:precision                   every model on every provider of this machine
 *     deno task bench:precision --pictures 10     ten pictures of fashion-dit from request to latents,
 *                                                 with and without plans, against full steps in float32
 *
 * PSNR of fashion-dit is that of pictures after 50 steps; of random weights it is that of one
 * prediction, its largest number as peak, which says what rounding adds and nothing about pictures.
 */
import { parseArgs } from "../parse_args.ts";
import type { Backend, BackendName } from "../../src/backend/backend.ts";
import { openBackend } from "../../src/backend/select.ts";
import { psnr } from "../../src/image/psnr.ts";
import { computeConditioning } from "../../src/engine/conditioning.ts";
import { Executor } from "../../src/engine/executor.ts";
import { FeatureCache } from "../../src/engine/feature_cache.ts";
import { memoryNeeds } from "../../src/engine/memory/needs.ts";
import { type Engine, openEngine } from "../../src/engine/engine.ts";
import {
  roundedLowering,
  type WeightPrecision,
} from "../../src/engine/precision/rounded_layers.ts";
import { roundLayers } from "../../src/engine/precision/choose.ts";
import { fullStep } from "../../src/engine/segment/step_segments.ts";
import { dit } from "../../src/model/dit/dit.ts";
import type { Model } from "../../src/model/model.ts";
import { openModel } from "../../src/model/open_model.ts";
import { elementCount, type Tensor } from "../../src/tensor/tensor.ts";
import { publishedConfig, randomNumbers, randomWeights } from "../make/random_weights.ts";
import { usableBackends } from "./usable_backends.ts";
import { FASHION_DIT } from "../fashion_dit.ts";

type Subject = Pick<Model, "id" | "transformer" | "weights" | "latent" | "close">;

/** One precision of a model on a provider. */
interface Row {
  readonly precision: WeightPrecision;
  readonly bytes: number;
  readonly ms: number;
  readonly psnrDb: number;
}

const MODELS = ["fashion-dit", "DiT-B/4"];
const CONDITION = { time: 500, label: 1 };
const MIB = 2 ** 20;

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    backend: { type: "string" },
    rows: { type: "string", default: "2" },
    rounds: { type: "string", default: "11" },
    pictures: { type: "string" },
  },
});
const rounds = Number(values.rounds);
if (values.pictures !== undefined) await measurePictures(Number(values.pictures));
else if (values.model !== undefined && values.backend !== undefined) {
  await measure(values.model, values.backend as BackendName, Number(values.rows));
} else await measureAll();
Deno.exit(0); // the runtime's threads would keep the process alive

/** A process for each pair, so that none inherits the memory of another. */
async function measureAll(): Promise<void> {
  console.log("model        rows  backend  weights     MiB  ms/step   times      PSNR");
  for (const backend of values.backend === undefined ? await usableBackends() : [values.backend]) {
    for (const model of values.model === undefined ? MODELS : [values.model]) {
      const rounds = backend === "webgpu" ? "1" : values.rounds;
      const args = ["--model", model, "--backend", backend, "--rows", values.rows];
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", import.meta.filename!, ...args, "--rounds", rounds], // a file
        stderr: "null",
      });
      const { stdout } = await child.output();
      Deno.stdout.writeSync(stdout);
    }
  }
}

async function measure(name: string, backendName: BackendName, rows: number): Promise<void> {
  const subject = await open(name);
  const { backend } = await openBackend({ backend: backendName });
  const precisions: readonly WeightPrecision[] = backendName === "webgpu"
    ? ["f32", "int4"]
    : ["f32", "int8", "int4"];
  const results = await measureSteps(subject, backend, { rows, precisions });
  await backend.dispose();
  await subject.close();
  const psnrDb = name === "fashion-dit" ? await picturePsnr(backendName, precisions) : undefined;
  for (const [i, row] of results.entries()) {
    const cells = [
      name.padEnd(11),
      `${rows}`.padStart(5),
      ` ${backendName.padEnd(7)}`,
      row.precision.padEnd(7),
      (row.bytes / MIB).toFixed(1).padStart(7),
      row.ms.toFixed(1).padStart(8),
      (results[0]!.ms / row.ms).toFixed(2).padStart(7), // the first is float32
      i === 0 ? "         –" : `${(psnrDb?.[i] ?? row.psnrDb).toFixed(1)} dB`.padStart(10),
    ];
    console.log(cells.join(" "));
  }
}

async function open(model: string): Promise<Subject> {
  if (model === "fashion-dit") return await openModel(FASHION_DIT);
  const config = publishedConfig(model);
  return {
    id: model,
    transformer: dit(config),
    weights: randomWeights(config),
    latent: [config.inChannels, config.inputSize, config.inputSize],
    close: () => Promise.resolve(),
  };
}

/** Full steps of every precision in turn. */
async function measureSteps(
  { id, transformer, weights, latent: [...shape] }: Subject,
  backend: Backend,
  { rows, precisions }: { readonly rows: number; readonly precisions: readonly WeightPrecision[] },
): Promise<Row[]> {
  const batch = Array.from({ length: rows }, () => CONDITION);
  const { conditioning } = transformer;
  const table = await computeConditioning(batch, { backend, weights, conditioning });
  const dims = [rows, ...shape];
  const data = randomNumbers(elementCount(dims), 1).map((number) => number * 20); // ±1
  const step = fullStep(transformer.modules.length);
  const executors: Executor[] = [];
  for (const precision of precisions) {
    const rounded = await roundLayers({ id, weights }, backend, precision);
    executors.push(new Executor(backend, transformer, weights, rounded));
  }
  const run = (executor: Executor): Promise<Tensor> =>
    executor.runStep(step, { latent: { dims, data }, batch, table, features: new FeatureCache() });
  const [outputs, ms] = await inTurn(executors, run);
  for (const executor of executors) await executor.dispose();
  return precisions.map((precision, i) => ({
    precision,
    bytes: bytesOf(transformer, precision),
    ms: ms[i]!,
    psnrDb: signalToNoise(outputs[i]!, outputs[0]!), // as many as precisions
  }));
}

/** Weights that sessions of a step hold; those of conditioning are gone before. */
function bytesOf(transformer: Subject["transformer"], precision: WeightPrecision): number {
  if (precision === "f32") return memoryNeeds(transformer).weights;
  return memoryNeeds(transformer, roundedLowering({ precision, byteType: "int8" })).weights;
}

function signalToNoise({ data }: Tensor, reference: Tensor): number {
  const peak = reference.data.reduce((most, number) => Math.max(most, Math.abs(number)), 0);
  const squares = data.reduce((sum, number, i) => sum + (number - reference.data[i]!) ** 2, 0);
  return 10 * Math.log10(peak ** 2 / (squares / data.length));
}

/** Results of each subject, and medians of its times. */
async function inTurn<S, T>(
  subjects: readonly S[],
  run: (subject: S) => Promise<T>,
): Promise<[T[], number[]]> {
  const results: T[] = [];
  for (const subject of subjects) results.push(await run(subject)); // to warm up
  const times = subjects.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, subject] of subjects.entries()) {
      const start = performance.now();
      await run(subject);
      times[i]!.push(performance.now() - start); // one list a subject
    }
  }
  return [results, times.map((list) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)]!)];
}

/** Mean PSNR of a picture of each class, 50 steps in full, to the same in float32 on this provider. */
async function picturePsnr(
  backend: BackendName,
  precisions: readonly WeightPrecision[],
): Promise<number[]> {
  const labels = backend === "webgpu" ? [8] : undefined; // a software adapter takes a minute for one
  const latents: Tensor[] = [];
  for (const weights of precisions) {
    const pipeline = await openEngine({ model: FASHION_DIT, backend, weights });
    const options = { seed: 100_000, plan: "none", ...(labels && { labels }) };
    latents.push((await pipeline.generate(options)).latents);
    await pipeline.close();
  }
  return latents.map((each) => mean(psnr(each, latents[0]!))); // there is float32
}

/** From request to latents: full steps and plans, in both precisions in turn. */
async function measurePictures(count: number): Promise<void> {
  const plans = [undefined, "ddim50.slow", "ddim50.fast", "ddim50.turbo"];
  for (const backend of await usableBackends()) {
    if (backend === "webgpu") continue;
    const pipelines: Engine[] = [];
    for (const weights of ["f32", "int8"] as const) {
      pipelines.push(await openEngine({ model: FASHION_DIT, backend, weights }));
    }
    const ways = plans.flatMap((plan) => pipelines.map((pipeline) => ({ plan, pipeline })));
    const labels = Array.from({ length: count }, (_, i) => i % 10);
    const [latents, ms] = await inTurn(ways, async ({ plan, pipeline }) => {
      const way = { labels, seed: 100_000, plan: plan ? `fashion-dit.${plan}` : "none" };
      return (await pipeline.generate({ ...way, output: "latents" })).latents;
    });
    for (const pipeline of pipelines) await pipeline.close();
    for (const [i, { plan = "50 full steps", pipeline }] of ways.entries()) {
      const db = i === 0 ? "–" : `${mean(psnr(latents[i]!, latents[0]!)).toFixed(1)} dB`; // one a way
      const times = `${(ms[0]! / ms[i]!).toFixed(2)}×`;
      const seconds = `${(ms[i]! / 1000).toFixed(2)} s`;
      const { weights } = pipeline.precision;
      console.log(
        `${backend.padEnd(7)} ${plan.padEnd(13)} ${weights.padEnd(5)} ${seconds} ${times} ${db}`,
      );
    }
  }
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
