/**
 * A kind of step on fixed buffers: first by the runtime, then, when it comes again, as a recording of that.
 */

import type { GpuAccess, Session, Value } from "../../backend/backend.ts";
import { alignedBytes, type Buffers, type Place, type Scratch } from "../../backend/gpu/memory.ts";
import type { Command } from "../../backend/gpu/command.ts";
import { leanCommands } from "../../backend/gpu/lean/commands.ts";
import { Recording } from "../../backend/gpu/recording.ts";
import { countChanged } from "../../backend/gpu/read_back.ts";
import { type Encode, submit } from "../../backend/gpu/submit.ts";

/** An input or output of a graph, and where its numbers lie. */
export interface Port {
  readonly name: string;
  readonly dims: readonly number[];
  readonly place: Place;
}

/** What a kind of step is made of. */
export interface KindParts {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly gpu: GpuAccess;
  readonly buffers: Buffers;
  readonly scratch: Scratch;
  /** Called with the reason when steps of this kind cannot be replayed. */
  readonly onRefused: (reason: string) => void;
}

/** How often it ran so far, and how it runs from now on. */
type Progress = "new" | "seen" | "refused" | Recording;

/** Runs steps of one kind. */
export class StepRunner {
  #progress: Progress = "new";
  readonly #inputs: readonly StagedPort[];
  readonly #outputs: readonly StagedPort[];

  constructor(readonly session: Session, readonly parts: KindParts) {
    const stage = (port: Port): StagedPort => stagedPort(port, parts);
    this.#inputs = parts.inputs.map(stage);
    this.#outputs = parts.outputs.map(stage);
  }

  /** Compiles its shaders: runs it without letting the device compute. */
  async compile(): Promise<void> {
    const { recorder } = this.parts.gpu;
    await this.#run(async (run) => {
      await recorder.record(run, { sound: "muted" }).catch(() => undefined);
    });
  }

  /** Runs one step. `before` brings its inputs, `after` takes its outputs. */
  async step(before: Encode, after: Encode): Promise<void> {
    const progress = this.#progress;
    if (progress instanceof Recording) {
      await this.parts.gpu.inTurn(() => {
        this.#submit(before, (encoder) => progress.encode(encoder), after);
        return Promise.resolve();
      });
      return;
    }
    this.#submit(before, (encoder) => copyAll(encoder, this.#inputs, "in"));
    if (progress === "seen") this.#progress = await this.#record();
    else {
      await this.#runPlainly();
      if (progress === "new") this.#progress = "seen";
    }
    this.#submit(after);
  }

  dispose(): void {
    if (this.#progress instanceof Recording) this.#progress.dispose();
    this.#progress = "refused";
    for (const { value } of this.#ports) value.dispose();
  }

  /** Runs the step and records it. Returns the recording, if it does what the step did. */
  async #record(): Promise<Progress> {
    const { gpu, scratch } = this.parts;
    const noted: { commands?: readonly Command[]; fault?: unknown } = {};
    await this.#run(async (run) => {
      const failed: unknown[] = [];
      const task = (): Promise<void> => run().catch((error) => void failed.push(error));
      await gpu.recorder.record(task, { sound: "heard" }).then(
        (commands) => void (noted.commands = commands),
        (fault) => void (noted.fault = fault),
      );
      for (const error of failed) throw error;
    });
    this.#submit((encoder) => copyAll(encoder, this.#outputs, "out"));
    if (noted.commands === undefined) return this.#refuse(reasonOf(noted.fault));
    const places = new Map(this.#ports.map(({ buffer, place }) => [buffer, place]));
    const lean = leanCommands(gpu.device, noted.commands, new Set(places.keys()));
    let changed = 0;
    for (const commands of [lean, noted.commands]) { // a driver may round otherwise in shaders of ours
      const recording = new Recording(gpu.device, commands, { places, scratch });
      changed = await this.#replayed(recording);
      if (changed === 0) {
        for (const port of this.#ports) freeStaging(port, this.parts.buffers);
        return recording;
      }
      recording.dispose();
      await this.#runPlainly(); // for what the replay made is wrong, and no measure of the next
    }
    return this.#refuse(`its replay differs from its run in ${changed} bytes`);
  }

  /** Replays a recording on the inputs of its run, over cleared outputs. Returns how many of their bytes change. */
  async #replayed(recording: Recording): Promise<number> {
    const { gpu } = this.parts;
    const outputs = this.#outputs.map(({ place }) => place);
    return await gpu.inTurn(() =>
      countChanged(gpu.device, outputs, () => {
        this.#submit((encoder) => recording.encode(encoder)); // leaves numbers where there were zeros
        this.#submit((encoder) => {
          for (const { buffer, offset, size } of outputs) encoder.clearBuffer(buffer, offset, size);
          recording.encode(encoder);
        });
      })
    );
  }

  async #runPlainly(): Promise<void> {
    await this.#run((run) => run());
    this.#submit((encoder) => copyAll(encoder, this.#outputs, "out"));
  }

  #refuse(reason: string): Progress {
    this.parts.onRefused(reason);
    return "refused";
  }

  get #ports(): readonly StagedPort[] {
    return [...this.#inputs, ...this.#outputs];
  }

  async #run(within: (run: () => Promise<void>) => Promise<void>): Promise<void> {
    const of = (ports: readonly StagedPort[]): Record<string, Value> =>
      Object.fromEntries(ports.map(({ name, value }) => [name, value]));
    const names = this.#outputs.map(({ name }) => name);
    await this.session.run(of(this.#inputs), names, { into: of(this.#outputs), within });
  }

  #submit(...parts: readonly Encode[]): void {
    submit(this.parts.gpu.device, ...parts);
  }
}

/** A port as the runtime takes it: a buffer of its own, for it knows no parts of buffers. */
interface StagedPort extends Port {
  readonly value: Value;
  readonly buffer: GPUBuffer;
  /** Absent where the place is a whole buffer. */
  readonly staging?: Place;
}

function stagedPort(port: Port, { gpu, buffers }: KindParts): StagedPort {
  const { place, dims } = port;
  const isWhole = place.offset === 0 && place.buffer.size === alignedBytes(place.size);
  if (isWhole) return { ...port, buffer: place.buffer, value: gpu.value(place.buffer, dims) };
  const staging = buffers.make(place.size);
  return { ...port, staging, buffer: staging.buffer, value: gpu.value(staging.buffer, dims) };
}

function freeStaging({ staging }: StagedPort, buffers: Buffers): void {
  if (staging !== undefined) buffers.free(staging);
}

/** Copies places to the buffers that the runtime takes, or back. */
function copyAll(
  encoder: GPUCommandEncoder,
  ports: readonly StagedPort[],
  way: "in" | "out",
): void {
  for (const { place, staging } of ports) {
    if (staging === undefined) continue;
    const size = Math.ceil(place.size / 4) * 4;
    if (way === "in") {
      encoder.copyBufferToBuffer(place.buffer, place.offset, staging.buffer, 0, size);
    } else encoder.copyBufferToBuffer(staging.buffer, 0, place.buffer, place.offset, size);
  }
}

function reasonOf(fault: unknown): string {
  return fault instanceof Error ? fault.message : String(fault);
}
