/**
 * Counts calls of WebGPU by wrapping the prototypes of its classes: whoever makes them, here and in a browser.
 */

/** Calls of one kind, or buffers, since counting began. */
export interface GpuCalls {
  readonly dispatches: number;
  readonly bindGroups: number;
  /** `writeBuffer`; nearly all write the uniforms of one dispatch. */
  readonly writes: number;
  readonly submits: number;
  /** Buffer to buffer. */
  readonly copies: number;
  readonly maps: number;
  readonly pipelines: number;
  /** Buffers made. */
  readonly buffers: number;
  /** Buffers destroyed. */
  readonly destroyed: number;
}

const NO_CALLS: GpuCalls = {
  dispatches: 0,
  bindGroups: 0,
  writes: 0,
  submits: 0,
  copies: 0,
  maps: 0,
  pipelines: 0,
  buffers: 0,
  destroyed: 0,
};

/** By class and method: what a call counts as. */
const COUNTED: Readonly<Record<string, Readonly<Record<string, keyof GpuCalls>>>> = {
  GPUComputePassEncoder: {
    dispatchWorkgroups: "dispatches",
    dispatchWorkgroupsIndirect: "dispatches",
  },
  GPUDevice: {
    createBindGroup: "bindGroups",
    createComputePipeline: "pipelines",
    createComputePipelineAsync: "pipelines",
    createBuffer: "buffers",
  },
  GPUQueue: { writeBuffer: "writes", submit: "submits" },
  GPUCommandEncoder: { copyBufferToBuffer: "copies" },
  GPUBuffer: { mapAsync: "maps", destroy: "destroyed" },
};

/** Begins to count, for as long as the process lives. Returns what reads the counts. */
export function countGpuCalls(): () => GpuCalls {
  const counts: Record<keyof GpuCalls, number> = { ...NO_CALLS };
  for (const [name, methods] of Object.entries(COUNTED)) {
    // WebGPU's classes are globals wherever it is; TypeScript does not know them by text.
    const { prototype } = Reflect.get(globalThis, name) as { prototype: object };
    for (const [method, kind] of Object.entries(methods)) {
      const original = Reflect.get(prototype, method) as (...args: unknown[]) => unknown;
      Reflect.set(prototype, method, function (this: unknown, ...args: unknown[]): unknown {
        counts[kind]++;
        return original.apply(this, args);
      });
    }
  }
  return () => ({ ...counts });
}

/** What was called between two readings. */
export function difference(after: GpuCalls, before: GpuCalls): GpuCalls {
  const names = Object.keys(after) as (keyof GpuCalls)[]; // an interface has no others
  return Object.fromEntries(
    names.map((name) => [name, after[name] - before[name]]),
  ) as unknown as GpuCalls;
}
