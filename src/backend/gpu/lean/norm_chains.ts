/**
 * A norm and what lies around it as one dispatch. A block of a transformer has two of them, each of five dispatches at
 * most: `gate · feature` is added to the stream, its norm is taken, scaled, shifted, and rounded to float16.
 */

import type { BindingFacts, Command, Dispatch } from "../command.ts";
import { BufferUses, touched } from "./buffer_uses.ts";
import { normPipeline, type NormRole, type NormShape } from "./norm_shader.ts";

/** A dispatch and its place among commands. */
type Placed = Dispatch & { readonly index: number };

/** A buffer that a dispatch reads or writes, and the dispatch's place. */
type Operand = BindingFacts & { readonly at: number };

/** What one dispatch can stand for. */
interface NormChain {
  /** Places of the commands that it stands for. */
  readonly members: ReadonlySet<number>;
  readonly last: number;
  /** What it reads and writes, by role. */
  readonly operands: ReadonlyMap<NormRole, Operand>;
  readonly shape: NormShape;
}

/** Puts one dispatch in the place of each chain around a norm that allows it. */
export function fuseNorms(
  device: GPUDevice,
  commands: readonly Command[],
  kept: ReadonlySet<GPUBuffer>,
): readonly Command[] {
  const uses = new BufferUses(commands, kept);
  const gone = new Set<number>();
  const instead = new Map<number, Dispatch>();
  for (const index of commands.keys()) {
    const chain = chainAround(uses.dispatch(index), uses);
    const fused = chain && fusedOf(device, chain);
    if (chain === undefined || fused === undefined) continue;
    for (const member of chain.members) gone.add(member);
    instead.set(chain.last, fused);
  }
  return commands.flatMap((command, index) =>
    instead.get(index) ?? (gone.has(index) ? [] : command)
  );
}

/** The chain around a norm that is scaled and shifted. */
function chainAround(norm: Placed | undefined, uses: BufferUses): NormChain | undefined {
  const normed = norm && normFacts(norm);
  if (norm === undefined || normed === undefined) return undefined;
  const scaled = rowwise("*", normed.result, norm, uses);
  const shifted = scaled && rowwise("+", scaled.result, scaled.by, uses);
  if (shifted === undefined || scaled!.tokens !== shifted.tokens) return undefined;
  const rounded = cast("f32", "f16", uses.onlyReader(shifted.result.buffer, shifted.by.index));
  const gated = gatedOf(normed.operands.get("skip"), norm, uses);
  if (gated !== undefined && gated.tokens !== shifted.tokens) return undefined;
  const members = [
    norm,
    scaled!.by,
    shifted.by,
    ...rounded ? [rounded.by] : [],
    ...gated?.by ?? [],
  ];
  const operands = new Map([...normed.operands, ...gated?.operands ?? []]);
  if (gated !== undefined) operands.delete("skip"); // which is their product
  operands.set("scale", scaled!.vector).set("shift", shifted.vector);
  operands.set("y", rounded?.result ?? shifted.result);
  const indices = members.map(({ index }) => index);
  const chain: NormChain = {
    members: new Set(indices),
    last: Math.max(...indices),
    operands,
    shape: {
      ...normed.shape,
      tokens: shifted.tokens,
      roles: [...operands.keys()],
      halves: [...rounded ? ["y"] as const : [], ...gated?.half ? ["feature"] as const : []],
    },
  };
  return isAlone(chain, uses) ? chain : undefined;
}

/** The operands of a norm by role, and its sizes. */
function normFacts(norm: Placed):
  | {
    readonly operands: Map<NormRole, Operand>;
    readonly result: Operand;
    readonly shape: Pick<NormShape, "rows" | "width" | "epsilon" | "skipSize">;
  }
  | undefined {
  const names = NORMS[norm.shader.name];
  const known = names !== undefined && / - mean \* mean /.test(norm.shader.code) &&
    norm.shader.code.includes("let offset1d = stride * ix;") && norm.workgroups[1] === 1;
  const content = bindingOf(norm, "uniforms")?.content;
  if (!known || content === undefined) return undefined;
  const operands = new Map<NormRole, Operand>();
  for (const [role, name] of Object.entries(names.operands) as [NormRole, string][]) {
    const found = bindingOf(norm, name);
    if (found !== undefined) operands.set(role, found);
  }
  const numbers = new DataView(content.buffer, content.byteOffset);
  const at = (word: number): number => numbers.getUint32(4 * word, true);
  const result = bindingOf(norm, names.result);
  const expected = norm.shader.variables.size === operands.size + 2; // nothing else is added
  if (at(0) !== 4 || result === undefined || !expected) return undefined;
  const width = at(names.width);
  const rows = norm.workgroups[0];
  const epsilon = at(names.epsilon);
  const skipSize = names.skipSize === undefined ? 0 : at(names.skipSize);
  return { operands, result, shape: { rows, width, epsilon, skipSize } };
}

/** By shader of a norm: names of its variables, and the words of its uniforms. */
const NORMS: Readonly<
  Record<string, {
    readonly operands: Partial<Record<NormRole, string>>;
    readonly result: string;
    readonly width: number;
    readonly epsilon: number;
    readonly skipSize?: number;
  }>
> = {
  SkipLayerNorm: {
    operands: { x: "x", skip: "skip", gamma: "gamma", sum: "input_skip_bias_sum" },
    ...{ result: "output", width: 1, epsilon: 2, skipSize: 3 },
  },
  LayerNorm: {
    operands: { x: "x", gamma: "scale" },
    ...{ result: "y", width: 2, epsilon: 4 },
  },
};

/** A value `(N, T, D)` and a vector `(N, 1, D)` in one operator. */
interface Rowwise {
  readonly by: Placed;
  readonly vector: Operand;
  readonly value: Operand;
  readonly result: Operand;
  /** T. */
  readonly tokens: number;
}

/** The operator that alone reads a value, if it adds or multiplies a vector for each row of the batch. */
function rowwise(
  sign: "+" | "*",
  { buffer }: BindingFacts,
  maker: Placed,
  uses: BufferUses,
): Rowwise | undefined {
  const by = uses.onlyReader(buffer, maker.index);
  const found = by && rowwiseOf(sign, by);
  return found?.value.buffer === buffer ? found : undefined;
}

/** *Source:* `bcast_indices` of onnxruntime 1.30's binary operators, as WGSL lays out its uniforms. */
function rowwiseOf(sign: "+" | "*", by: Placed): Rowwise | undefined {
  const { code } = by.shader;
  const content = bindingOf(by, "uniforms")?.content;
  const known = code.includes(`output[global_idx]=a ${sign} b;`) &&
    /bcast_indices_shape: vec3<u32>[^}]*b_indices_stride: vec2<u32>,\s*vec_size/.test(code) &&
    code.match(/: array<vec4<f32>>;/g)?.length === 3;
  if (!known || content === undefined) return undefined;
  const words = new Uint32Array(content.slice().buffer);
  const shapeAt = (word: number): string => `${words.subarray(word, word + 3)}`;
  const [all, a, b] = [shapeAt(0), shapeAt(8), shapeAt(16)];
  const vectorShape = `${words[0]},1,${words[2]}`;
  const [first, second] = [bindingOf(by, "input_a"), bindingOf(by, "input_b")];
  const result = bindingOf(by, "output");
  if (first === undefined || second === undefined || result === undefined) return undefined;
  const tokens = words[1]!; // there are 24
  if (a === all && b === vectorShape) return { by, value: first, vector: second, result, tokens };
  if (b === all && a === vectorShape) return { by, value: second, vector: first, result, tokens };
  return undefined;
}

/** `gate · feature`, which only this norm reads, as it adds it to the stream. */
function gatedOf(skip: Operand | undefined, norm: Placed, uses: BufferUses):
  | {
    readonly by: readonly Placed[];
    readonly operands: ReadonlyMap<NormRole, Operand>;
    readonly half: boolean;
    readonly tokens: number;
  }
  | undefined {
  const maker = skip && makerOf(skip.buffer, norm, uses);
  const product = maker && rowwiseOf("*", maker);
  if (product === undefined) return undefined;
  const { by, value, vector, tokens } = product;
  const widener = makerOf(value.buffer, by, uses);
  const widened = cast("f16", "f32", widener);
  const operands = new Map<NormRole, Operand>([
    ["gate", vector],
    ["feature", widened?.source ?? value],
  ]);
  const members = widened === undefined ? [by] : [by, widened.by];
  return { by: members, operands, half: widened !== undefined, tokens };
}

/** The dispatch that made a value for nobody but its reader. */
function makerOf(buffer: GPUBuffer, reader: Placed, uses: BufferUses): Placed | undefined {
  const before = uses.before(buffer, reader.index);
  const maker = before?.written === true ? uses.dispatch(before.index) : undefined;
  const only = maker && uses.onlyReader(buffer, maker.index);
  return only?.index === reader.index ? maker : undefined;
}

/** A dispatch that changes nothing but the type of numbers. */
function cast(
  from: "f16" | "f32",
  to: "f16" | "f32",
  by: Placed | undefined,
):
  | { readonly by: Placed; readonly source: Operand; readonly result: Operand }
  | undefined {
  const { code = "" } = by?.shader ?? {};
  const known = by?.shader.name === "Cast" && code.includes(`x: array<vec4<${from}>>`) &&
    code.includes(`y: array<vec4<${to}>>`);
  const [source, result] = known ? [bindingOf(by, "x"), bindingOf(by, "y")] : [];
  return source && result && by ? { by, source, result } : undefined;
}

function bindingOf({ groups, index }: Placed, name: string): Operand | undefined {
  const found = groups[0]?.bindings.find((binding) => binding.name === name);
  return found && { ...found, at: index };
}

/** Whether other commands leave alone what the chain reads and writes, until it does all at its last place. */
function isAlone({ members, last, operands }: NormChain, { commands }: BufferUses): boolean {
  const all = [...operands.values()];
  for (let index = Math.min(...members); index < last; index++) {
    if (members.has(index)) continue;
    for (const { buffer, written } of touched(commands[index]!)) { // below the last
      const mine = all.filter((each) => each.buffer === buffer && each.at < index);
      if (mine.some((each) => written || each.written)) return false;
    }
  }
  return true;
}

/** One dispatch for a chain; `undefined` where a buffer would have to be bound in two types. */
function fusedOf(device: GPUDevice, { operands, shape }: NormChain): Dispatch | undefined {
  const roles = [...operands.keys()];
  const buffers = roles.map((role) => operands.get(role)!.buffer); // of these roles
  const isHalf = (role: NormRole): boolean => shape.halves.includes(role);
  const shared = roles.map((role, i) => roles[buffers.indexOf(buffers[i]!)] ?? role);
  if (shared.some((first, i) => isHalf(first) !== isHalf(roles[i]!))) return undefined;
  if (shared.some((first, i) => operands.get(first)!.offset !== operands.get(roles[i]!)!.offset)) {
    return undefined;
  }
  const written = new Set(shared.filter((_, i) => operands.get(roles[i]!)!.written));
  const { pipeline, shader, content, workgroups } = normPipeline(device, shape, {
    shared,
    written,
  });
  const own = [...new Set(shared)];
  const bindings: BindingFacts[] = own.map((role, binding) => ({
    ...operands.get(role)!,
    ...{ binding, name: role, written: written.has(role) },
  }));
  const { buffer } = bindings[0]!; // a chain has operands
  const uniforms: BindingFacts = {
    ...{ binding: own.length, name: "uniforms", buffer, offset: 0, size: undefined },
    ...{ content, written: false },
  };
  const layout = pipeline.getBindGroupLayout(0);
  return {
    kind: "dispatch",
    pipeline,
    shader,
    groups: [{ layout, bindings: [...bindings, uniforms] }],
    workgroups: [workgroups, 1, 1],
  };
}
