/**
 * What the dispatches of a replayed step cost the device, one shader at a time: each is given to it again and again, as
 * a step does, and so is a shader that does nothing, for no dispatch can cost less.
 */

/** Dispatches of one shader in a step. */
export interface KernelCost {
  /** The runtime's name of the shader. */
  readonly name: string;
  readonly workgroups: readonly number[];
  /** How many there are in a step. */
  readonly count: number;
  /** Milliseconds of one. */
  readonly ms: number;
  /** WGSL. */
  readonly code: string;
}

/** What the dispatches of a step cost. */
export interface StepKernels {
  readonly kernels: readonly KernelCost[];
  /** Milliseconds of one dispatch of a shader that writes one number. */
  readonly floorMs: number;
  /** Milliseconds of the step's dispatches, in their order. */
  readonly wholeMs: number;
}

/** A dispatch as it was asked for. */
interface Asked {
  readonly pipeline: GPUComputePipeline;
  readonly groups: readonly GPUBindGroup[];
  readonly workgroups: readonly number[];
}

/** Dispatches of one shader, one after another, that are timed together. */
const REPEATED = 100;
/** Timings, of which the shortest counts. */
const ROUNDS = 5;

/** Notes the dispatches of every submission from now on, whoever makes it. */
export class KernelLog {
  readonly #shaders = new WeakMap<
    GPUShaderModule,
    { readonly name: string; readonly code: string }
  >();
  readonly #pipelines = new WeakMap<
    GPUComputePipeline,
    { readonly name: string; readonly code: string }
  >();
  /** Of the last command buffer that had the most. */
  #longest: readonly Asked[] = [];

  constructor() {
    const { prototype: device } = GPUDevice;
    const { createShaderModule, createComputePipeline, createComputePipelineAsync } = device;
    const [shaders, pipelines] = [this.#shaders, this.#pipelines];
    device.createShaderModule = function (descriptor): GPUShaderModule {
      const module = createShaderModule.call(this, descriptor);
      shaders.set(module, { name: descriptor.label ?? "", code: descriptor.code });
      return module;
    };
    const note = (
      pipeline: GPUComputePipeline,
      { label, compute }: GPUComputePipelineDescriptor,
    ): GPUComputePipeline => {
      const { name, code } = shaders.get(compute.module) ?? { name: "", code: "" };
      pipelines.set(pipeline, { name: label || name, code });
      return pipeline;
    };
    device.createComputePipeline = function (descriptor): GPUComputePipeline {
      return note(createComputePipeline.call(this, descriptor), descriptor);
    };
    device.createComputePipelineAsync = async function (descriptor): Promise<GPUComputePipeline> {
      return note(await createComputePipelineAsync.call(this, descriptor), descriptor);
    };
    this.#listen();
  }

  /** What the dispatches of the longest command buffer cost: a step's that was replayed. */
  async costs(device: GPUDevice): Promise<StepKernels> {
    const kinds = new Map<string, Asked[]>();
    for (const asked of this.#longest) {
      const { name, code } = this.#pipelines.get(asked.pipeline) ?? { name: "?", code: "" };
      const key = `${name} ${asked.workgroups} ${code.length}`;
      kinds.set(key, [...kinds.get(key) ?? [], asked]);
    }
    const kernels: KernelCost[] = [];
    for (const [first, ...others] of kinds.values()) {
      const { pipeline, workgroups } = first!;
      const { name, code } = this.#pipelines.get(pipeline) ?? { name: "?", code: "" };
      const ms = await each(device, first!);
      kernels.push({ name, workgroups, count: 1 + others.length, ms, code });
    }
    return {
      kernels: kernels.toSorted((a, b) => b.count * b.ms - a.count * a.ms),
      floorMs: await each(device, trivial(device)),
      wholeMs: await timed(device, this.#longest) - await timed(device, []),
    };
  }

  #listen(): void {
    const { prototype: encoder } = GPUCommandEncoder;
    const { prototype: pass } = GPUComputePassEncoder;
    const { finish } = encoder;
    const { setPipeline, setBindGroup, dispatchWorkgroups } = pass;
    let [asked, groups]: [Asked[], GPUBindGroup[]] = [[], []];
    let pipeline: GPUComputePipeline;
    const keep = (): void => {
      if (asked.length >= this.#longest.length) this.#longest = asked;
      [asked, groups] = [[], []];
    };
    encoder.finish = function (descriptor): GPUCommandBuffer {
      keep();
      return finish.call(this, descriptor);
    };
    pass.setPipeline = function (given): undefined {
      pipeline = given;
      setPipeline.call(this, given);
    };
    pass.setBindGroup = function (index: number, group: GPUBindGroup | null): undefined {
      groups[index] = group!;
      setBindGroup.call(this, index, group);
    };
    pass.dispatchWorkgroups = function (x: number, y = 1, z = 1): undefined {
      asked.push({ pipeline, groups: [...groups], workgroups: [x, y, z] });
      dispatchWorkgroups.call(this, x, y, z);
    };
  }
}

/** Milliseconds of a dispatch after as many others, without what a submission alone takes. */
async function each(device: GPUDevice, asked: Asked): Promise<number> {
  const many = await timed(device, new Array<Asked>(REPEATED).fill(asked));
  return Math.max(0, many - await timed(device, [])) / REPEATED;
}

/** Milliseconds of dispatches in one pass, to their completion: the shortest of some rounds. */
async function timed(device: GPUDevice, dispatches: readonly Asked[]): Promise<number> {
  const found: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now();
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const { pipeline, groups, workgroups } of dispatches) {
      pass.setPipeline(pipeline);
      for (const [index, group] of groups.entries()) pass.setBindGroup(index, group);
      pass.dispatchWorkgroups(...workgroups as [number]);
    }
    pass.end();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    found.push(performance.now() - began);
  }
  return Math.min(...found);
}

function trivial(device: GPUDevice): Asked {
  const code = `@group(0) @binding(0) var<storage, read_write> numbers: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x == 0u) { numbers[0] += 1.0; }
}`;
  const module = device.createShaderModule({ code });
  const pipeline = device.createComputePipeline({ layout: "auto", compute: { module } });
  const buffer = device.createBuffer({ size: 256, usage: 0x80 }); // STORAGE
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer } }],
  });
  return { pipeline, groups: [group], workgroups: [1] };
}
