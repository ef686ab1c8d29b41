/**
 * Commands that were recorded, made ready to be given to the device again: with uniforms as they were, inputs and outputs
 * where they are wanted, and everything between in memory that all recordings of a device share.
 */

import type { BindingFacts, Clear, Command, Copy, Dispatch } from "./command.ts";
import type { Place, Scratch } from "./memory.ts";

export interface RecordingOptions {
  /** Where buffers of the recorded run lie now: its inputs and outputs. */
  readonly places: ReadonlyMap<GPUBuffer, Place>;
  /** Gives memory for what lies between; its owner's. */
  readonly scratch: Scratch;
}

type Replayed =
  | {
    readonly kind: "dispatch";
    readonly dispatch: Dispatch;
    readonly groups: readonly GPUBindGroup[];
  }
  | Copy
  | Clear;

/** A sequence of commands that can be given to the device any number of times. */
export class Recording {
  readonly #replayed: readonly Replayed[];
  readonly #uniforms: GPUBuffer[] = [];

  /** Makes bind groups of its own; of the run's buffers it keeps those that the run only read, such as weights. */
  constructor(device: GPUDevice, commands: readonly Command[], options: RecordingOptions) {
    const frozen = new Map<string, GPUBuffer>();
    const freeze = (content: Uint8Array<ArrayBuffer>): Place => {
      const key = content.join();
      const buffer = frozen.get(key) ??
        device.createBuffer({ size: content.length, usage: FROZEN });
      if (!frozen.has(key)) device.queue.writeBuffer(buffer, 0, content);
      frozen.set(key, buffer);
      return { buffer, offset: 0, size: content.length };
    };
    const placeOf = placer(options);
    this.#replayed = commands.map((command): Replayed => {
      if (command.kind !== "dispatch") return moved(command, placeOf);
      const entryOf = (facts: BindingFacts): GPUBindGroupEntry => ({
        binding: facts.binding,
        resource: bindingOf(
          facts,
          facts.content === undefined
            ? placeOf(facts.buffer, facts.written)
            : freeze(facts.content),
        ),
      });
      const groups = command.groups.map(({ layout, bindings }) =>
        device.createBindGroup({ layout, entries: bindings.map(entryOf) })
      );
      return { kind: "dispatch", dispatch: command, groups };
    });
    this.#uniforms.push(...frozen.values());
  }

  /** Adds the commands to an encoder. */
  encode(encoder: GPUCommandEncoder): void {
    let pass: GPUComputePassEncoder | undefined;
    let last: GPUComputePipeline | undefined;
    for (const command of this.#replayed) {
      if (command.kind !== "dispatch") {
        pass?.end();
        pass = last = undefined;
        encodeTransfer(encoder, command);
        continue;
      }
      pass ??= encoder.beginComputePass();
      const { dispatch: { pipeline, workgroups }, groups } = command;
      if (pipeline !== last) pass.setPipeline(pipeline);
      last = pipeline;
      for (const [index, group] of groups.entries()) pass.setBindGroup(index, group);
      pass.dispatchWorkgroups(...workgroups);
    }
    pass?.end();
  }

  dispose(): void {
    for (const buffer of this.#uniforms) buffer.destroy();
    this.#uniforms.length = 0;
  }
}

/**
 * Where buffers of a run lie in its replays. A buffer that is read before anything wrote to it came from outside and
 * stays; one that is written first is made in the run.
 */
function placer(
  { places, scratch }: RecordingOptions,
): (buffer: GPUBuffer, written: boolean) => Place {
  const known = new Map(places);
  const take = scratch.begin();
  return (buffer, written) => {
    const place = known.get(buffer) ??
      (written ? take(buffer.size) : { buffer, offset: 0, size: buffer.size });
    known.set(buffer, place);
    return place;
  };
}

function bindingOf({ offset, size }: BindingFacts, place: Place): GPUBufferBinding {
  return {
    buffer: place.buffer,
    offset: place.offset + offset,
    size: Math.min(size ?? place.size - offset, place.size - offset),
  };
}

function encodeTransfer(encoder: GPUCommandEncoder, command: Copy | Clear): void {
  const { target, targetOffset, size } = command;
  if (command.kind === "clear") return encoder.clearBuffer(target, targetOffset, size);
  encoder.copyBufferToBuffer(command.source, command.sourceOffset, target, targetOffset, size);
}

function moved(
  command: Copy | Clear,
  placeOf: (buffer: GPUBuffer, written: boolean) => Place,
): Copy | Clear {
  const source = command.kind === "copy" ? placeOf(command.source, false) : undefined;
  const target = placeOf(command.target, true);
  const to = {
    target: target.buffer,
    targetOffset: target.offset + command.targetOffset,
    size: Math.min(command.size, target.size - command.targetOffset),
  };
  if (command.kind === "clear" || source === undefined) return { kind: "clear", ...to };
  const sourceOffset = source.offset + command.sourceOffset;
  return { kind: "copy", source: source.buffer, sourceOffset, ...to };
}

const FROZEN = 0x40 | 0x80 | 0x8; // UNIFORM | STORAGE | COPY_DST
