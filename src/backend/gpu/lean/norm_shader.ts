/**
 * The shader of a norm and what lies around it. It computes what onnxruntime 1.30's shaders compute one after another, in
 * the same order and with the same roundings, so that the bits are the same.
 */

import type { Shader, Variable } from "../command.ts";

/** What the shader reads and writes. */
export type NormRole =
  /** The stream `(N, T, D)`. */
  | "x"
  /** What is added to it. */
  | "skip"
  /** `(N, 1, D)` and `(N, T, D)`, whose product is added instead. */
  | "gate"
  | "feature"
  /** `(D)`: weights of the norm. */
  | "gamma"
  /** `(N, 1, D)`. */
  | "scale"
  | "shift"
  /** The stream with what was added, and the result. */
  | "sum"
  | "y";

/** What a shader is made for. */
export interface NormShape {
  /** Rows N · T that are normed, each of `width` numbers. */
  readonly rows: number;
  readonly width: number;
  /** Bits of a float32. */
  readonly epsilon: number;
  /** Numbers of `skip`, which may be the same for every row of the batch. */
  readonly skipSize: number;
  /** T. */
  readonly tokens: number;
  readonly roles: readonly NormRole[];
  /** Those that are float16. */
  readonly halves: readonly NormRole[];
}

/** Which roles are one variable, and which variables are written. */
export interface NormVariables {
  /** By role of the shape: the role whose variable it is. */
  readonly shared: readonly NormRole[];
  readonly written: ReadonlySet<NormRole>;
}

/** A compiled shader and its uniforms. */
export interface NormPipeline {
  readonly pipeline: GPUComputePipeline;
  readonly shader: Shader;
  readonly content: Uint8Array<ArrayBuffer>;
  /** How many it takes. */
  readonly workgroups: number;
}

/** Below this width onnxruntime's shader leaves all of a row to one invocation of its 64. */
const NARROW = 256;
/** Rows of a workgroup whose rows are narrow. */
const ROWS = 8;
const NAME = "NormChain";
/** By device and source. */
const compiled = new WeakMap<GPUDevice, Map<string, GPUComputePipeline>>();

/** Compiles the shader of a shape, once for each device. */
export function normPipeline(
  device: GPUDevice,
  shape: NormShape,
  variables: NormVariables,
): NormPipeline {
  const code = normShader(shape, variables);
  const known = compiled.get(device) ?? new Map<string, GPUComputePipeline>();
  compiled.set(device, known);
  const pipeline = known.get(code) ?? device.createComputePipeline({
    layout: "auto",
    compute: { module: device.createShaderModule({ label: NAME, code }) },
  });
  known.set(code, pipeline);
  const own = [...new Set(variables.shared)];
  const facts = own.map((
    name,
    i,
  ): [string, Variable] => [`0 ${i}`, { name, written: variables.written.has(name) }]);
  const { width, epsilon, rows } = shape;
  const words = new Uint32Array([width, epsilon, 0, 0]);
  return {
    pipeline,
    shader: { name: NAME, code, variables: new Map(facts) },
    content: new Uint8Array(words.buffer),
    workgroups: width < NARROW ? Math.ceil(rows / ROWS) : rows,
  };
}

/** WGSL of a shape. */
function normShader(
  { rows, width, skipSize, tokens, roles, halves }: NormShape,
  { shared, written }: NormVariables,
): string {
  const own = [...new Set(shared)];
  const type = (role: NormRole): string => halves.includes(role) ? "vec4<f16>" : "vec4<f32>";
  const bound = own.map((role, i) => {
    const access = written.has(role) ? "read_write" : "read";
    return `@group(0) @binding(${i}) var<storage, ${access}> ${role}_numbers: array<${
      type(role)
    }>;`;
  });
  const at = (role: NormRole, index: string): string =>
    `${shared[roles.indexOf(role)] ?? role}_numbers[${index}]`;
  const read = (role: NormRole, index: string): string => `vec4<f32>(${at(role, index)})`;
  const added = roles.includes("gate")
    ? ` + exact(${read("gate", "vector + i")} * ${read("feature", "first + i")})`
    : roles.includes("skip")
    ? ` + ${read("skip", `(first + i) % ${skipSize / 4}u`)}`
    : "";
  const summed = `${read("x", "first + i")}${added}`;
  const hasSum = roles.includes("sum");
  const normed = `(value - mean) * deviation * ${read("gamma", "i")}`;
  const parts = {
    head: [...halves.length > 0 ? ["enable f16;"] : [], ...bound].join("\n"),
    uniforms: own.length,
    ...{ rows, tokens, count: width / 4 },
    add: `let value = ${summed};${hasSum ? ` ${at("sum", "first + i")} = value;` : ""}`,
    again: `let value = ${hasSum ? at("sum", "first + i") : summed};`,
    put: `${at("y", "first + i")} = ${type("y")}(exact(${normed} * ` +
      `${read("scale", "vector + i")}) + ${read("shift", "vector + i")});`,
  };
  return width < NARROW ? narrow(parts) : wide(parts);
}

interface ShaderParts {
  readonly head: string;
  /** Binding of the uniforms. */
  readonly uniforms: number;
  readonly rows: number;
  readonly tokens: number;
  /** Of four numbers, in a row. */
  readonly count: number;
  /** Statements that make a value of the sum, find it again, and write a result. */
  readonly add: string;
  readonly again: string;
  readonly put: string;
}

/**
 * What both have. `exact` keeps a driver from rounding a product and a sum only once. Sizes are constants: where a loop ends
 * by a uniform, Mesa's llvmpipe compiles it for each dispatch.
 */
function common({ head, uniforms, count, tokens }: ShaderParts): string {
  return `${head}
struct Uniforms { width: u32, epsilon: f32, nothing: u32, rest: u32 };
const count = ${count}u;
const tokens = ${tokens}u;
@group(0) @binding(${uniforms}) var<uniform> uniforms: Uniforms;

fn exact(value: vec4<f32>) -> vec4<f32> {
  return bitcast<vec4<f32>>(bitcast<vec4<u32>>(value) ^ vec4<u32>(uniforms.nothing));
}
`;
}

const MOMENTS = `
  let mean = (sum.x + sum.y + sum.z + sum.w) / f32(uniforms.width);
  let deviation = inverseSqrt((squares.x + squares.y + squares.z + squares.w) /
    f32(uniforms.width) - mean * mean + uniforms.epsilon);`;

/** An invocation for each row. */
function narrow(parts: ShaderParts): string {
  return `${common(parts)}
@compute @workgroup_size(${ROWS})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.x;
  if (row >= ${parts.rows}u) { return; }
  let first = row * count;
  let vector = row / tokens * count;
  var sum = vec4<f32>();
  var squares = vec4<f32>();
  for (var i = 0u; i < count; i++) {
    ${parts.add}
    sum += value;
    squares += value * value;
  }${MOMENTS}
  for (var i = 0u; i < count; i++) {
    ${parts.again}
    ${parts.put}
  }
}
`;
}

/** A workgroup of 64 for each row, of which the last invocation takes what does not divide. */
function wide(parts: ShaderParts): string {
  return `${common(parts)}
var<workgroup> sums: array<vec4<f32>, 64>;
var<workgroup> squared: array<vec4<f32>, 64>;
@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) own: u32,
  @builtin(workgroup_id) group: vec3<u32>
) {
  let row = group.x;
  let first = row * count;
  let vector = row / tokens * count;
  let begin = own * (count / 64u);
  let end = select(begin + count / 64u, count, own == 63u);
  for (var i = begin; i < end; i++) {
    ${parts.add}
    sums[own] += value;
    squared[own] += value * value;
  }
  workgroupBarrier();
  var size = 64u;
  for (var count_left = size >> 1u; count_left > 0u; count_left = size >> 1u) {
    size = count_left + (size & 1u);
    if (own < count_left) {
      sums[own] += sums[own + size];
      squared[own] += squared[own + size];
    }
    workgroupBarrier();
  }
  let sum = sums[0];
  let squares = squared[0];${MOMENTS}
  for (var i = begin; i < end; i++) {
    ${parts.again}
    ${parts.put}
  }
}
`;
}
