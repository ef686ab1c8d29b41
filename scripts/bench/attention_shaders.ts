/**
 * Which shaders `MultiHeadAttention` of onnxruntime-web takes, and how far its results are from plain arithmetic; for
 * Deno and, bundled, for a page.
 */
import * as ort from "onnxruntime-web/jspi";
import { GraphBuilder, type Node } from "../../src/onnx/graph.ts";
import { encodeModel } from "../../src/onnx/model_proto.ts";
import { attention } from "../../src/onnx/operators.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** What is asked. */
export interface AttentionSubject {
  readonly tokens: readonly number[];
  readonly type: "float32" | "float16";
  /** Whether the device has subgroups. */
  readonly subgroups: boolean;
  /** URL of the runtime's files, in a page. */
  readonly folder?: string;
}

/** What was found for a number of tokens. */
export interface AttentionShaders {
  readonly tokens: number;
  /** One for each dispatch. */
  readonly shaders: readonly string[];
  /** Largest difference to plain arithmetic over the largest number, of the first rows. */
  readonly error: number;
}

/** Numbers of a head, of which there is one. */
const WIDTH = 64;
/** Rows that are computed by plain arithmetic. */
const ROWS = 64;
/** Numbers in TensorProto.DataType. */
const TYPES = { float32: 1, float16: 10 } as const;
/** By name of a shader: what no other's source has. */
const MARKS: readonly (readonly [string, RegExp])[] = [
  ["copy of keys and values", /copy_kv_shape/],
  ["stretches of keys", /out_split_vx/],
  ["sum of stretches", /var<storage, read> metadata/],
  ["flash in subgroups", /k_tile[^]*subgroupShuffle/],
  ["flash", /k_tile/],
];

/** Runs attention on a device of its own, the only one of its process or page. */
export async function attentionShaders(
  { tokens, type, subgroups, folder }: AttentionSubject,
): Promise<AttentionShaders[]> {
  const adapter = (await navigator.gpu.requestAdapter())!; // who asks knows that there is one
  const { maxStorageBufferBindingSize, maxBufferSize } = adapter.limits;
  const requiredFeatures: GPUFeatureName[] = [
    ...(subgroups ? ["subgroups"] as const : []),
    ...(type === "float16" ? ["shader-f16"] as const : []),
  ];
  const device = await adapter.requestDevice({
    requiredFeatures,
    requiredLimits: { maxStorageBufferBindingSize, maxBufferSize },
  });
  const read = noteDispatches(device);
  ort.env.wasm.numThreads = 1;
  if (folder !== undefined) ort.env.wasm.wasmPaths = folder;
  const found: AttentionShaders[] = [];
  for (const count of tokens) {
    const inputs = [1, 2, 3].map((seed) => normalNoise([1, count, WIDTH], seed));
    const { bytes } = encodeModel(graphOf(count, type));
    const session = await ort.InferenceSession.create(bytes, {
      executionProviders: [{ name: "webgpu", device }],
    });
    read();
    const feeds = Object.fromEntries(["q", "k", "v"].map((name, i) => {
      const { dims, data } = inputs[i]!; // three
      return [name, new ort.Tensor("float32", data, dims)];
    }));
    const { y } = await session.run(feeds);
    const shaders = read().filter((name) => name !== CAST);
    const numbers = await y!.getData() as Float32Array; // as the graph says
    found.push({ tokens: count, shaders, error: errorOf(numbers, inputs) });
    await session.release();
  }
  return found;
}

function graphOf(tokens: number, type: AttentionSubject["type"]): GraphBuilder {
  const graph = new GraphBuilder("attention");
  const cast = (x: Node, to: typeof type): Node =>
    x.type === to
      ? x
      : graph.apply("Cast", [x], x.dims, { attributes: { to: TYPES[to] }, type: to });
  const operand = (name: string): Node => cast(graph.input(name, [1, tokens, WIDTH]), type);
  const mixed = attention(graph, [operand("q"), operand("k"), operand("v")], 1);
  graph.output("y", cast(mixed, "float32"));
  return graph;
}

/** What has none of the marks: the casts around attention. */
const CAST = "cast";

/** Notes the shaders that a device dispatches. Returns what reads their names, and begins anew. */
function noteDispatches(device: GPUDevice): () => string[] {
  let dispatched: string[] = [];
  const names = new WeakMap<object, string>();
  const { createShaderModule, createComputePipeline, createComputePipelineAsync } = device;
  device.createShaderModule = (descriptor) => {
    const module = createShaderModule.call(device, descriptor);
    const [name = CAST] = MARKS.find(([, mark]) => mark.test(descriptor.code)) ?? [];
    names.set(module, name);
    return module;
  };
  const note = <T extends object>(pipeline: T, module: GPUShaderModule): T => {
    names.set(pipeline, names.get(module)!); // made just above
    return pipeline;
  };
  device.createComputePipeline = (descriptor) =>
    note(createComputePipeline.call(device, descriptor), descriptor.compute.module);
  device.createComputePipelineAsync = async (descriptor) =>
    note(await createComputePipelineAsync.call(device, descriptor), descriptor.compute.module);
  const { prototype } = GPUComputePassEncoder;
  const { setPipeline, dispatchWorkgroups } = prototype;
  let current = CAST;
  prototype.setPipeline = function (pipeline): undefined {
    current = names.get(pipeline) ?? CAST;
    setPipeline.call(this, pipeline);
  };
  prototype.dispatchWorkgroups = function (...counts): undefined {
    dispatched.push(current);
    dispatchWorkgroups.apply(this, counts);
  };
  return () => {
    const read = dispatched;
    dispatched = [];
    return read;
  };
}

function errorOf(found: Float32Array, inputs: readonly Tensor[]): number {
  const [q, k, v] = inputs.map(({ data }) => data) as [Float32Array, Float32Array, Float32Array]; // three
  const tokens = q.length / WIDTH;
  let [most, error] = [0, 0];
  for (let row = 0; row < Math.min(ROWS, tokens); row++) {
    const shares = Float64Array.from({ length: tokens }, (_, key) => {
      let score = 0;
      for (let i = 0; i < WIDTH; i++) score += q[row * WIDTH + i]! * k[key * WIDTH + i]!;
      return Math.exp(score / Math.sqrt(WIDTH));
    });
    const sum = shares.reduce((total, share) => total + share, 0);
    for (let i = 0; i < WIDTH; i++) {
      const mixed = shares.reduce((total, share, key) => total + share * v[key * WIDTH + i]!, 0);
      most = Math.max(most, Math.abs(mixed / sum));
      error = Math.max(error, Math.abs(found[row * WIDTH + i]! - mixed / sum));
    }
  }
  return error / most;
}
