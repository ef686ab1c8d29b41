/**
 * Commands as a device is asked for them: while a tape listens, methods of the device, its encoders and
 * its passes are replaced.
 */

import { BackendError } from "../../errors.ts";
import type { BindGroupFacts, Command, Shader } from "./command.ts";
import { replaceMethod } from "./replace_method.ts";

/** Commands in the order in which a device is asked for them. */
export class Tape {
  readonly #commands: Command[] = [];
  readonly #groups = new WeakMap<GPUBindGroup, GPUBindGroupDescriptor>();
  /** Latest bytes that the host wrote, by buffer. */
  readonly #contents = new Map<GPUBuffer, Uint8Array<ArrayBuffer>>();
  /** Buffers that the host filled in a way that is not seen. */
  readonly #filled = new Set<GPUBuffer>();
  #fault: string | undefined;

  constructor(
    readonly shaders: WeakMap<GPUComputePipeline, Shader>,
    readonly muted: boolean,
  ) {}

  /** Replaces methods of a device until the function that is returned is called. */
  listen(device: GPUDevice): () => void {
    const undo = [
      replaceMethod(device, "createBindGroup", (original) => (descriptor) => {
        const group = original(descriptor);
        this.#groups.set(group, descriptor);
        return group;
      }),
      replaceMethod(device, "createBuffer", (original) => (descriptor) => {
        const buffer = original(descriptor);
        if (descriptor.mappedAtCreation) this.#filled.add(buffer);
        return buffer;
      }),
      replaceMethod(
        device.queue,
        "writeBuffer",
        (original) => (buffer, offset, data, from, size) => {
          original(buffer, offset, data, from, size);
          this.#note(buffer, offset, bytesOf(data, from, size));
        },
      ),
      replaceMethod(
        device,
        "createCommandEncoder",
        (original) => (descriptor) => this.#encoder(original(descriptor)),
      ),
    ];
    return () => undo.forEach((restore) => restore());
  }

  /** @throws {BackendError} When something cannot be repeated. */
  finish(): readonly Command[] {
    if (this.#fault === undefined) return this.#commands;
    throw new BackendError(`Cannot record a run: ${this.#fault}.`);
  }

  #encoder(encoder: GPUCommandEncoder): GPUCommandEncoder {
    replaceMethod(
      encoder,
      "beginComputePass",
      (original) => (descriptor) => this.#pass(original(descriptor)),
    );
    replaceMethod(encoder, "copyBufferToBuffer", (original) => (...args: unknown[]) => {
      // Without offsets the third argument is the size.
      const [source, sourceOffset, target, targetOffset, size] = (args.length < 4
        ? [args[0], 0, args[1], 0, args[2] ?? (args[0] as GPUBuffer).size]
        : args) as [GPUBuffer, number, GPUBuffer, number, number];
      if (this.#filled.has(source)) {
        this.#fault = "it copies numbers of the host to the device";
      }
      this.#commands.push({ kind: "copy", source, sourceOffset, target, targetOffset, size });
      if (!this.muted) {
        original(source, sourceOffset, target, targetOffset, size);
      }
    });
    replaceMethod(encoder, "clearBuffer", (original) => (target, targetOffset = 0, given) => {
      const size = given ?? target.size - targetOffset;
      this.#commands.push({ kind: "clear", target, targetOffset, size });
      if (!this.muted) original(target, targetOffset, size);
    });
    return encoder;
  }

  #pass(pass: GPUComputePassEncoder): GPUComputePassEncoder {
    let pipeline: GPUComputePipeline;
    const groups: GPUBindGroup[] = [];
    replaceMethod(pass, "setPipeline", (original) => (given) => {
      pipeline = given;
      original(given);
    });
    replaceMethod(
      pass,
      "setBindGroup",
      (original) => (index: number, group: GPUBindGroup | null, ...offsets: never[]) => {
        if (group !== null) groups[index] = group;
        if (group === null || offsets.length > 0) this.#fault = "a bind group has dynamic offsets";
        original(index, group, ...offsets);
      },
    );
    replaceMethod(pass, "dispatchWorkgroups", (original) => (x, y = 1, z = 1) => {
      const shader = this.shaders.get(pipeline) ?? UNKNOWN;
      const facts = groups.map((group, index) => this.#factsOf(shader, index, group));
      const workgroups = [x, y, z] as const;
      this.#commands.push({ kind: "dispatch", pipeline, shader, groups: facts, workgroups });
      if (!this.muted) original(x, y, z);
    });
    replaceMethod(pass, "dispatchWorkgroupsIndirect", (original) => (...args) => {
      this.#fault = "a dispatch depends on numbers of the device";
      original(...args);
    });
    return pass;
  }

  #factsOf(shader: Shader, index: number, group: GPUBindGroup): BindGroupFacts {
    const descriptor = this.#groups.get(group);
    if (descriptor === undefined || shader === UNKNOWN) {
      this.#fault = "a bind group is not known";
    }
    return {
      layout: descriptor?.layout as GPUBindGroupLayout, // a fault otherwise
      bindings: [...descriptor?.entries ?? []].map(({ binding, resource }) => {
        const { buffer, offset = 0, size } = bufferBinding(resource);
        const content = this.#contents.get(buffer);
        const { name = "", written = false } = shader.variables.get(`${index} ${binding}`) ?? {};
        return { binding, name, buffer, offset, size, content, written };
      }),
    };
  }

  #note(buffer: GPUBuffer, offset: number, bytes: Uint8Array): void {
    const before = this.#contents.get(buffer);
    const content = new Uint8Array(Math.max(before?.length ?? 0, offset + bytes.length));
    if (before !== undefined) content.set(before);
    content.set(bytes, offset);
    this.#contents.set(buffer, content);
  }
}

/** Stands for a shader that was made before the recorder listened. */
const UNKNOWN: Shader = { name: "", code: "", variables: new Map() };

function bufferBinding(resource: GPUBindingResource): GPUBufferBinding {
  if ("buffer" in resource) return resource;
  return { buffer: resource as GPUBuffer }; // compute shaders of the runtime bind nothing else
}

function bytesOf(
  data: AllowSharedBufferSource,
  from: number = 0,
  size: number | undefined,
): Uint8Array {
  const isView = ArrayBuffer.isView(data);
  const width = isView && "BYTES_PER_ELEMENT" in data ? Number(data.BYTES_PER_ELEMENT) : 1;
  const [buffer, start] = isView ? [data.buffer, data.byteOffset] : [data, 0];
  const length = size === undefined ? data.byteLength - from * width : size * width;
  return new Uint8Array(buffer as ArrayBuffer, start + from * width, length).slice();
}
