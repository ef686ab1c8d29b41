/**
 * The pictures of every variant, batch by batch in turn, so that whatever else the machine does is shared by
 * all. Each batch is a file; a run that was killed goes on where it was.
 */
import { openSafetensors } from "../../src/assets/formats/safetensors.ts";
import {
  encodeSafetensors,
  type WritableTensor,
} from "../../src/assets/formats/safetensors_writer.ts";
import { openDirectory } from "../../src/assets/source.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { GenerateOptions } from "../../src/engine/request.ts";
import type { Model } from "../../src/model/model.ts";
import { joinRows } from "../../src/tensor/rows.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { type Variant, variantKey } from "../bench/rivals.ts";

/** What pictures are made by. */
export type PictureMaker = Pick<Engine, "model" | "backend" | "precision" | "generate" | "close">;

/** Which pictures to make. */
export interface SampleTask {
  /** The model on its backend. */
  readonly pipeline: PictureMaker;
  /** The same with weights in another precision, for variants that want it. */
  readonly rounded?: PictureMaker | undefined;
  /** Ways of making them. */
  readonly variants: readonly Variant[];
  /** Picture i has the noise of seed + i. */
  readonly count: number;
  /** What pictures are drawn of; class i mod classes unless given. */
  readonly request?: (first: number, size: number) => GenerateOptions;
  /** Seed of the first picture. */
  readonly seed: number;
  /** Pictures of one batch. */
  readonly batch: number;
  /** Where batches are kept. */
  readonly folder: string;
  /** Hears of each batch of a variant: done of total. */
  readonly onBatch?: (done: number, total: number) => void;
}

/** All pictures of a variant. */
export interface Samples {
  /** Final latents `(count, C, H, W)`. */
  readonly latents: Tensor;
  /** Seconds for one picture of each batch, conditioning included. */
  readonly seconds: readonly number[];
}

/** Makes what the folder does not have yet, and reads all of it. */
export async function sampleVariants(task: SampleTask): Promise<ReadonlyMap<Variant, Samples>> {
  const { variants, count, batch, onBatch } = task;
  const folder = await folderOf(task);
  await Deno.mkdir(folder, { recursive: true });
  const total = Math.ceil(count / batch) * variants.length;
  const parts = new Map<Variant, Samples[]>(variants.map((variant) => [variant, []]));
  let done = 0;
  for (let first = 0; first < count; first += batch) {
    const size = Math.min(batch, count - first);
    for (const variant of variants) {
      const path = `${folder}/${variantKey(variant)}-${first}-${size}.safetensors`;
      parts.get(variant)!.push(
        await readBatch(path) ?? await makeBatch(task, { variant, first, size, path }),
      );
      onBatch?.(++done, total);
    }
  }
  return new Map(variants.map((variant) => [variant, joined(parts.get(variant)!)])); // set above
}

/** Says on one line of the terminal how many batches are done; ends it with the last. */
export function showBatch(done: number, total: number): void {
  const end = done === total ? "\n" : "";
  Deno.stderr.writeSync(new TextEncoder().encode(`\rbatch ${done} of ${total}${end}`));
}

/** A folder for each model, backend, guidance and seed. */
async function folderOf({ pipeline, seed, folder }: SampleTask): Promise<string> {
  const { model, backend } = pipeline;
  const model8 = (await model.fingerprint()).replace("sha256:", "").slice(0, 8);
  return `${folder}/${model8}-${backend.name}-guidance${model.sampler.guidance}-seed${seed}`;
}

interface BatchTask {
  readonly variant: Variant;
  readonly first: number;
  readonly size: number;
  readonly path: string;
}

/** Makes a batch and keeps it; under another name until it is whole. */
async function makeBatch(
  task: SampleTask,
  { variant, first, size, path }: BatchTask,
): Promise<Samples> {
  const { seed } = task;
  const { steps, plan, sampler, sigmas, policy } = variant;
  const pipeline = pipelineOf(task, variant);
  const { latents, loopSeconds, conditioningSeconds } = await pipeline.generate({
    ...(task.request?.(first, size) ?? classesOf(pipeline.model, first, size)),
    seed: seed + first,
    ...(plan === undefined ? { steps, plan: "none" } : { plan }), // which may own its times
    ...(sampler !== undefined && { sampler }),
    ...(sigmas !== undefined && { sigmas }),
    ...(policy !== undefined && { policy }),
    output: "latents",
  });
  const seconds = (loopSeconds + conditioningSeconds) / size;
  const tensors = new Map<string, WritableTensor>([
    ["latents", latents],
    ["seconds", { dims: [1], data: Float32Array.of(seconds) }],
  ]);
  const blob = new Blob([...encodeSafetensors(tensors)]);
  await Deno.writeFile(`${path}.tmp`, blob.stream());
  await Deno.rename(`${path}.tmp`, path);
  return { latents, seconds: [seconds] };
}

function classesOf({ classes }: Model, first: number, size: number): GenerateOptions {
  return { labels: Array.from({ length: size }, (_, i) => (first + i) % classes) };
}

function pipelineOf({ pipeline, rounded }: SampleTask, { weights = "f32" }: Variant): PictureMaker {
  const fitting = [pipeline, rounded].find((each) => each?.precision.weights === weights);
  if (fitting !== undefined) return fitting;
  throw new RangeError(`Cannot make pictures: a pipeline must have ${weights} weights`);
}

async function readBatch(path: string): Promise<Samples | undefined> {
  const at = path.lastIndexOf("/");
  const source = openDirectory(path.slice(0, at));
  const name = path.slice(at + 1);
  try {
    if (await source.size(name) === undefined) return undefined;
    const file = await openSafetensors(source, name);
    const latents = await file.readFloat32("latents");
    const { data: seconds } = await file.readFloat32("seconds");
    return { latents, seconds: [...seconds] };
  } finally {
    await source.close();
  }
}

function joined(parts: readonly Samples[]): Samples {
  return {
    latents: joinRows(parts.map(({ latents }) => latents)),
    seconds: parts.flatMap(({ seconds }) => seconds),
  };
}
