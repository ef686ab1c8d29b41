/**
 * Records what a runtime asks of a WebGPU device, so that it can be asked again without the runtime.
 *
 * onnxruntime-web's own capture (`enableGraphCapture`) aborts in its JSPI build, and its replays were seen to bind a wrong
 * uniform buffer (microsoft/onnxruntime#29594). But the runtime calls the device that we know, so its pipelines, bind
 * groups and dispatches pass by here: methods are replaced on that one object, for as long as a recording lasts.
 */

import { BackendError } from "../../errors.ts";

/** One dispatch, with everything that it reads and writes. */
export interface Dispatch {
  readonly kind: "dispatch";
  readonly pipeline: GPUComputePipeline;
  /** By group index. */
  readonly groups: readonly BindGroupFacts[];
  readonly workgroups: readonly [x: number, y: number, z: number];
}

/** One copy from buffer to buffer. */
export interface Copy {
  readonly kind: "copy";
  readonly source: GPUBuffer;
  readonly sourceOffset: number;
  readonly target: GPUBuffer;
  readonly targetOffset: number;
  readonly size: number;
}

/** Zeros written to a part of a buffer. */
export interface Clear {
  readonly kind: "clear";
  readonly target: GPUBuffer;
  readonly targetOffset: number;
  readonly size: number;
}

export type Command = Dispatch | Copy | Clear;

export interface BindGroupFacts {
  readonly layout: GPUBindGroupLayout;
  readonly bindings: readonly BindingFacts[];
}

/** A buffer as a shader sees it. */
export interface BindingFacts {
  readonly binding: number;
  readonly buffer: GPUBuffer;
  readonly offset: number;
  /** Absent = to its end. */
  readonly size: number | undefined;
  /** What the host wrote to it for this dispatch: uniforms. */
  readonly content: Uint8Array<ArrayBuffer> | undefined;
  /** Whether the shader may write to it. */
  readonly written: boolean;
}

/** How a recording is made. */
export interface RecordOptions {
  /** `muted` keeps dispatches from the device: shaders are compiled and nothing is computed. */
  readonly sound: "heard" | "muted";
}

/** A device whose pipelines are known, so that what runs on it can be recorded. */
export class Recorder {
  readonly #shaders = new WeakMap<GPUShaderModule, string>();
  readonly #written = new WeakMap<GPUComputePipeline, ReadonlySet<string>>();

  /** Notes pipelines from now on. */
  constructor(readonly device: GPUDevice) {
    replace(device, "createShaderModule", (original) => (descriptor) => {
      const module = original(descriptor);
      this.#shaders.set(module, descriptor.code);
      return module;
    });
    const note = (
      pipeline: GPUComputePipeline,
      { compute }: GPUComputePipelineDescriptor,
    ): GPUComputePipeline => {
      this.#written.set(pipeline, writtenBindings(this.#shaders.get(compute.module) ?? ""));
      return pipeline;
    };
    replace(
      device,
      "createComputePipeline",
      (original) => (descriptor) => note(original(descriptor), descriptor),
    );
    replace(
      device,
      "createComputePipelineAsync",
      (original) => async (descriptor) => note(await original(descriptor), descriptor),
    );
  }

  /**
   * Runs a task and returns what it asked of the device; nobody else may use the device meanwhile.
   *
   * @throws {BackendError} When it did what cannot be repeated, such as copying new numbers to the device.
   */
  async record(task: () => Promise<void>, { sound }: RecordOptions): Promise<readonly Command[]> {
    const tape = new Tape(this.#written, sound === "muted");
    const restore = tape.listen(this.device);
    try {
      await task();
    } finally {
      restore();
    }
    return tape.finish();
  }
}

/** A command encoder that no recording listens to: while one run is recorded, another may go on. */
export function ownEncoder(device: GPUDevice): GPUCommandEncoder {
  const { createCommandEncoder }: GPUDevice = Object.getPrototypeOf(device);
  return createCommandEncoder.call(device);
}

/** Commands as they are asked for. */
class Tape {
  readonly #commands: Command[] = [];
  readonly #groups = new WeakMap<GPUBindGroup, GPUBindGroupDescriptor>();
  /** Latest bytes that the host wrote, by buffer. */
  readonly #contents = new Map<GPUBuffer, Uint8Array<ArrayBuffer>>();
  /** Buffers that the host filled in a way that is not seen. */
  readonly #filled = new Set<GPUBuffer>();
  #fault: string | undefined;

  constructor(
    readonly written: WeakMap<GPUComputePipeline, ReadonlySet<string>>,
    readonly muted: boolean,
  ) {}

  /** Replaces methods of a device until the function that is returned is called. */
  listen(device: GPUDevice): () => void {
    const undo = [
      replace(device, "createBindGroup", (original) => (descriptor) => {
        const group = original(descriptor);
        this.#groups.set(group, descriptor);
        return group;
      }),
      replace(device, "createBuffer", (original) => (descriptor) => {
        const buffer = original(descriptor);
        if (descriptor.mappedAtCreation) this.#filled.add(buffer);
        return buffer;
      }),
      replace(device.queue, "writeBuffer", (original) => (buffer, offset, data, from, size) => {
        original(buffer, offset, data, from, size);
        this.#note(buffer, offset, bytesOf(data, from, size));
      }),
      replace(
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
    replace(
      encoder,
      "beginComputePass",
      (original) => (descriptor) => this.#pass(original(descriptor)),
    );
    replace(encoder, "copyBufferToBuffer", (original) => (...args: unknown[]) => {
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
    replace(encoder, "clearBuffer", (original) => (target, targetOffset = 0, given) => {
      const size = given ?? target.size - targetOffset;
      this.#commands.push({ kind: "clear", target, targetOffset, size });
      if (!this.muted) original(target, targetOffset, size);
    });
    return encoder;
  }

  #pass(pass: GPUComputePassEncoder): GPUComputePassEncoder {
    let pipeline: GPUComputePipeline;
    const groups: GPUBindGroup[] = [];
    replace(pass, "setPipeline", (original) => (given) => {
      pipeline = given;
      original(given);
    });
    replace(
      pass,
      "setBindGroup",
      (original) => (index: number, group: GPUBindGroup | null, ...offsets: never[]) => {
        if (group !== null) groups[index] = group;
        if (group === null || offsets.length > 0) this.#fault = "a bind group has dynamic offsets";
        original(index, group, ...offsets);
      },
    );
    replace(pass, "dispatchWorkgroups", (original) => (x, y = 1, z = 1) => {
      const facts = groups.map((group, index) => this.#factsOf(pipeline, index, group));
      this.#commands.push({ kind: "dispatch", pipeline, groups: facts, workgroups: [x, y, z] });
      if (!this.muted) original(x, y, z);
    });
    replace(pass, "dispatchWorkgroupsIndirect", (original) => (...args) => {
      this.#fault = "a dispatch depends on numbers of the device";
      original(...args);
    });
    return pass;
  }

  #factsOf(pipeline: GPUComputePipeline, index: number, group: GPUBindGroup): BindGroupFacts {
    const descriptor = this.#groups.get(group);
    const written = this.written.get(pipeline);
    if (descriptor === undefined || written === undefined) {
      this.#fault = "a bind group is not known";
    }
    return {
      layout: descriptor?.layout as GPUBindGroupLayout, // a fault otherwise
      bindings: [...descriptor?.entries ?? []].map(({ binding, resource }) => {
        const { buffer, offset = 0, size } = bufferBinding(resource);
        const content = this.#contents.get(buffer);
        const isWritten = written?.has(`${index} ${binding}`) ?? false;
        return { binding, buffer, offset, size, content, written: isWritten };
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

/** Which bindings a shader may write to, as `group binding`. */
export function writtenBindings(code: string): ReadonlySet<string> {
  const pattern = /@group\((\d+)\)\s*@binding\((\d+)\)\s*var<storage,\s*read_write>/g;
  return new Set([...code.matchAll(pattern)].map(([, group, binding]) => `${group} ${binding}`));
}

/** Replaces a method of one object. Returns what takes the replacement away. */
function replace<T extends object, K extends keyof T>(
  target: T,
  name: K,
  make: (original: T[K]) => T[K],
): () => void {
  const original = target[name];
  if (typeof original !== "function") {
    throw new TypeError(`Internal error: no method ${String(name)}`);
  }
  const had = Object.hasOwn(target, name);
  target[name] = make(original.bind(target));
  return () => {
    if (had) target[name] = original;
    else delete target[name];
  };
}
