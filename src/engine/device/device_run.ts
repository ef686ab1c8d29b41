/**
 * A run whose latents stay on the device: the host submits steps, and reads back what somebody asked for.
 */

import { beginReadBack } from "../../backend/gpu/read_back.ts";
import { rearranged } from "../../backend/gpu/axes.ts";
import { submit } from "../../backend/gpu/submit.ts";
import { type SumSizes, weightCount } from "../../backend/gpu/weighted_sum.ts";
import type { Place } from "../../backend/gpu/memory.ts";
import { BackendError } from "../../errors.ts";
import { elementCount, type Tensor } from "../../tensor/tensor.ts";
import { disposeAll } from "../device_values.ts";
import { batchOf, guidanceOf } from "../batch_inputs.ts";
import {
  type BatchResult,
  conditionRun,
  constantsOf,
  reportOf,
  type Run,
  type StepReport,
  type StepTensors,
} from "../run.ts";
import { firstLatents } from "../begin.ts";
import type { ConditioningTable } from "../conditioning.ts";
import type { Stage } from "./stage.ts";
import type { Stages } from "./stages.ts";
import { endsOf } from "./ends.ts";
import { stepWeights } from "./step_graph.ts";
import { historyLength, updateWeights } from "./update_weights.ts";
import { VectorFeed } from "./vector_feed.ts";
import type { Step } from "../../plan/compile.ts";

/** A run that can stay on the device. */
export interface DeviceRun extends Run {
  readonly sums: SumSizes;
  /** Whether the latents of each step are read back; else only the last ones. */
  readonly readBack: boolean;
}

/** The run as one on the device; `undefined` where a mask puts a picture back after each step, or probes are asked for. */
export function deviceRunOf(run: Run, readBack: boolean): DeviceRun | undefined {
  const { request: { scene, sampler, labels, known } } = run;
  if (known?.mask !== undefined || run.probe) return undefined;
  const { latentDims, channelAxis: axis } = scene;
  const count = latentDims[axis - 1] ?? 0;
  const sums: SumSizes = {
    pictures: labels.length,
    before: elementCount(latentDims.slice(0, axis - 1)),
    channels: count,
    after: elementCount(latentDims.slice(axis)),
    halves: batchOf(run, 0).length > labels.length,
    history: historyLength(sampler.linear),
    ...endsOf(scene, batchOf(run, 0).length),
  };
  return { ...run, sums, readBack };
}

/** Runs step by step. The work of at most two full steps is on its way to the device or on it. */
export async function* runOnDevice(
  run: DeviceRun,
  stages: Stages,
): AsyncGenerator<StepReport, BatchResult, undefined> {
  const started = performance.now();
  const table = await conditionRun(run);
  const conditioned = performance.now();
  const { sums, steps, request: { scene: { transformer } } } = run;
  const rows = sums.pictures * (sums.halves ? 2 : 1);
  const stage = await stages.take({ transformer, rows, sums, steps });
  try {
    await stage.prepare(run.signal);
    const prepared = performance.now();
    const latents = yield* new Loop(run, stage, table).run();
    return {
      latents,
      loopSeconds: (performance.now() - prepared) / 1000,
      conditioningSeconds: (conditioned - started) / 1000,
      preparationSeconds: (prepared - conditioned) / 1000,
      peakFeatureBytes: stage.keptBytes,
      notices: stage.refusals.map((reason) =>
        `Steps are not replayed: ${reason.replace(/\.$/, "")}.`
      ),
    };
  } catch (error) {
    if (error instanceof BackendError) await stages.drop(stage); // a session that failed stays so
    throw error;
  } finally {
    stages.giveBack(stage);
  }
}

/** A step that was given to the device. */
interface Submitted {
  readonly index: number;
  /** Of a full step's. */
  readonly work: number;
  /** When it was done. */
  readonly done: Promise<number>;
}

/** In full steps, what a step asks of the device: its share of modules that run. */
function workOf(step: Step): number {
  if (step.kind === "reuse" || step.kind === "forecast") return 0;
  return step.actions.filter(({ kind }) => kind === "run").length / step.actions.length;
}

/**
 * Whether a step may follow those that are not done: two full ones are on their way, or eight that do little. Deno looks
 * only every 10 ms whether a queue is done, in which a device has done many of those.
 */
function fits(work: number, pending: readonly Submitted[]): boolean {
  if (pending.length < 2) return true;
  return pending.length < MOST_PENDING &&
    pending.reduce((sum, each) => sum + each.work, work) <= 2;
}

const MOST_PENDING = 8;

/** The steps of one run on its stage. */
class Loop {
  readonly #feed: VectorFeed;
  readonly #weights: Place;
  readonly #dims: readonly number[];

  constructor(readonly of: DeviceRun, readonly stage: Stage, table: ConditioningTable) {
    const { request: { sampler: { times, linear }, labels, scene }, steps, sums } = of;
    this.#dims = [labels.length, ...scene.latentDims];
    this.#feed = new VectorFeed(
      stage.buffers,
      times.map((_, i) => {
        const layout = stage.kind(steps[i]!)?.layout; // one for each time
        const batch = batchOf(of, i);
        return {
          byteLength: layout?.byteLength ?? 0,
          fill: (numbers) =>
            layout?.fill(numbers, { table, batch, weights: stepWeights(steps[i]!) }),
        };
      }),
    );
    const guidance = sums.halves ? guidanceOf(of) : undefined;
    const weights = new Float32Array(weightCount(sums) * linear.length);
    linear.forEach((step, i) => {
      weights.set(updateWeights(step, sums, guidance), i * weightCount(sums));
    });
    this.#weights = stage.buffers.make(weights.byteLength);
    stage.gpu.device.queue.writeBuffer(this.#weights.buffer, 0, weights);
  }

  async *run(): AsyncGenerator<StepReport, Tensor, undefined> {
    const { queue } = this.stage.buffers.device;
    try {
      await this.#begin();
      let before = performance.now();
      const pending: Submitted[] = [];
      const report = async (
        { index, done }: Submitted,
        tensors?: StepTensors,
      ): Promise<StepReport> => {
        const at = await done;
        const seconds = (at - before) / 1000;
        before = at;
        return {
          ...reportOf(this.of, index),
          ...tensors,
          seconds,
          keptBytes: this.stage.keptBytes,
        };
      };
      for (const [index, step] of this.of.steps.entries()) {
        this.of.signal?.throwIfAborted();
        const work = workOf(step);
        while (!fits(work, pending)) yield await report(pending.shift()!); // none is left otherwise
        await this.#step(index);
        const done = this.stage.gpu.unlessLost(() => queue.onSubmittedWorkDone())
          .then(() => performance.now());
        done.catch(() => undefined); // thrown where it is waited for
        const submitted = { index, work, done };
        if (this.of.readBack) yield await report(submitted, await this.#tensors(index));
        else pending.push(submitted);
      }
      for (const submitted of pending) yield await report(submitted);
      return (await this.#read([this.stage.latent]))[0]!; // one was asked for
    } finally {
      this.#feed.dispose();
      this.stage.buffers.free(this.#weights);
    }
  }

  /** Brings the first latents and constants to the device. */
  async #begin(): Promise<void> {
    const { stage, of: { request } } = this;
    const { device } = stage.gpu;
    const { halves, givenAxes } = this.of.sums;
    const { data } = firstLatents(request);
    const given = rearranged(data, givenAxes);
    device.queue.writeBuffer(stage.latent.buffer, 0, rearranged(data, undefined));
    for (const half of halves ? [0, 1] : [0]) {
      device.queue.writeBuffer(stage.given.buffer, half * given.byteLength, given);
    }
    const constants = await constantsOf(this.of);
    submit(device, (encoder) => {
      encoder.clearBuffer(stage.history.buffer);
      for (const [name, value] of Object.entries(constants)) {
        const place = stage.constant(name);
        if (place === undefined) continue; // nothing reads it
        const size = Math.ceil(value.byteLength / 4) * 4;
        encoder.copyBufferToBuffer(stage.gpu.bufferOf(value), 0, place.buffer, 0, size);
      }
    });
    disposeAll(constants);
  }

  async #step(index: number): Promise<void> {
    const { stage, of: { steps, sums } } = this;
    const bytes = 4 * weightCount(sums);
    const bringWeights = (encoder: GPUCommandEncoder): void =>
      encoder.copyBufferToBuffer(
        this.#weights.buffer,
        index * bytes,
        stage.weights.buffer,
        0,
        bytes,
      );
    const kind = stage.kind(steps[index]!);
    if (kind === undefined) { // no model is called
      return await stage.submit(bringWeights, (encoder) => stage.sum.encode(encoder));
    }
    const { buffer, offset, size } = this.#feed.place(index);
    await kind.runner.step(
      (encoder) => {
        encoder.copyBufferToBuffer(buffer, offset, kind.vectors.buffer, 0, size);
        stage.ageFeatures(steps[index]!)(encoder);
        bringWeights(encoder);
      },
      (encoder) => stage.sum.encode(encoder),
    );
  }

  async #tensors(index: number): Promise<StepTensors> {
    const { stage, of: { request: { sampler: { linear } } } } = this;
    const bytes = 4 * elementCount(this.#dims);
    const kept = linear[index]!.history.map((_, i) => ({ ...stage.history, offset: i * bytes }));
    const [latent, estimate, ...history] = await this.#read([
      stage.latent,
      stage.estimate,
      ...kept,
    ]);
    const state = { index: index + 1, latent: latent!, history };
    return { latents: latent!, estimate: estimate!, state }; // as asked
  }

  async #read(places: readonly Place[]): Promise<Tensor[]> {
    const size = 4 * elementCount(this.#dims);
    const heads = places.map((place) => ({ ...place, size })); // of a latent of two halves the first
    const { gpu } = this.stage;
    const arrays = await gpu.unlessLost(() => beginReadBack(gpu.device, heads).read());
    return arrays.map((bytes) => ({ dims: this.#dims, data: new Float32Array(bytes) }));
  }
}
