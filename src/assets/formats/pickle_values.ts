/**
 * What a pickle of tensors can hold, and the few calls that make it: plain data, nothing that acts.
 *
 * A global is only a name here: it is compared with the names below and never looked up anywhere.
 *
 * *Source:* PyTorch 2.13 `torch/_utils.py` (`_rebuild_tensor_v2`, `_rebuild_parameter`) and
 * `torch/serialization.py` (persistent ids of storages).
 */

import { describe } from "../json.ts";

/** A value of a pickle. Containers may hold themselves: code that walks them must allow for that. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PickleTuple
  | PickleList
  | PickleDict
  | PickleGlobal
  | PickleStorage
  | PickleTensor
  | PickleOpaque;

export interface PickleTuple {
  readonly kind: "tuple";
  readonly items: readonly PickleValue[];
}

export interface PickleList {
  readonly kind: "list";
  /** Its items, to which the pickle appends. */
  readonly items: PickleValue[];
}

/** A `dict` or `OrderedDict`; its keys are strings or numbers. */
export interface PickleDict {
  readonly kind: "dict";
  /** Its entries, to which the pickle adds. */
  readonly entries: Map<string | number, PickleValue>;
}

/** The name of a class or function. */
export interface PickleGlobal {
  readonly kind: "global";
  /** Module and name, one of a closed list. */
  readonly name: string;
}

/** A stretch of elements in an entry of its own. */
export interface PickleStorage {
  readonly kind: "storage";
  /** Name of its entry below `data/`. */
  readonly key: string;
  /** Element type, in the words of safetensors. */
  readonly dtype: string;
  readonly count: number;
}

/** A view of a storage, proved to lie inside of it. */
export interface PickleTensor {
  readonly kind: "tensor";
  /** Where its elements are. */
  readonly storage: PickleStorage;
  /** Index of its first element there. */
  readonly offset: number;
  readonly dims: readonly number[];
  /** Elements of the storage from one index of a dimension to the next. */
  readonly strides: readonly number[];
}

/** An object whose contents were dropped. */
export interface PickleOpaque {
  readonly kind: "opaque";
}

/** Why a call or name is not one of ours: the end of an error message. */
export class Unacceptable {
  constructor(readonly why: string) {}
}

const RANK_LIMIT = 32; // as safetensors here
const STORAGES: ReadonlyMap<string, string> = new Map([
  ["torch.FloatStorage", "F32"],
  ["torch.HalfStorage", "F16"],
  ["torch.BFloat16Storage", "BF16"],
  ["torch.DoubleStorage", "F64"],
  ["torch.LongStorage", "I64"],
  ["torch.IntStorage", "I32"],
  ["torch.ShortStorage", "I16"],
  ["torch.CharStorage", "I8"],
  ["torch.ByteStorage", "U8"],
  ["torch.BoolStorage", "BOOL"],
  ["torch.storage.UntypedStorage", "U8"],
]);
/** Types without a storage of their own: their tensors lie in bytes, and name their type. */
const BYTE_TYPES: ReadonlyMap<string, string> = new Map([
  ["torch.float8_e4m3fn", "F8_E4M3"],
  ["torch.float8_e5m2", "F8_E5M2"],
]);
const DICT = "collections.OrderedDict";
const TENSOR = "torch._utils._rebuild_tensor_v2";
const TYPED_TENSOR = "torch._utils._rebuild_tensor_v3";
const PARAMETER = "torch._utils._rebuild_parameter";
/**
 * The one class that is no tensor's: DiT's own `train.py` writes its command line beside the weights, as
 * `args`, and `sample.py` loads such files. To refuse the name would refuse every checkpoint of a training.
 * It is safe because nothing is made of it: the object is an empty marker, and its fields are dropped.
 */
const NAMESPACE = "argparse.Namespace";
const GLOBALS: ReadonlySet<string> = new Set([
  DICT,
  TENSOR,
  TYPED_TENSOR,
  PARAMETER,
  NAMESPACE,
  ...STORAGES.keys(),
  ...BYTE_TYPES.keys(),
]);

/** A name of the closed list. */
export function acceptGlobal(name: string): PickleGlobal | Unacceptable {
  if (GLOBALS.has(name)) return { kind: "global", name };
  return new Unacceptable(
    `global must be one that rebuilds tensors: current value is ${describe(name).slice(1, -1)}`,
  );
}

/** What `callee(*args)` gives. */
export function call(callee: PickleValue, args: PickleValue): PickleValue | Unacceptable {
  const name = isKind(callee, "global") ? callee.name : undefined;
  const items = isKind(args, "tuple") ? args.items : [];
  if (name === DICT && items.length === 0) return { kind: "dict", entries: new Map() };
  if (name === TENSOR) return rebuildTensor(items);
  if (name === TYPED_TENSOR) return rebuildTypedTensor(items);
  if (name === PARAMETER && isKind(items[0], "tensor")) return items[0];
  return new Unacceptable(
    `call must be of a function that rebuilds tensors: current value is ${
      name ?? kindOf(callee)
    } with ${items.length} arguments`,
  );
}

/** What `cls.__new__(cls, *args)` gives: a marker, for the one class that is let through. */
export function instantiate(cls: PickleValue, args: PickleValue): PickleValue | Unacceptable {
  const named = isKind(cls, "global") && cls.name === NAMESPACE;
  if (named && isKind(args, "tuple") && args.items.length === 0) return { kind: "opaque" };
  return new Unacceptable(
    `object must be an ${NAMESPACE}: current value is ${
      isKind(cls, "global") ? cls.name : kindOf(cls)
    }`,
  );
}

/** The storage that a persistent id stands for: `("storage", type, key, location, count)`. */
export function storageOf(id: PickleValue): PickleStorage | Unacceptable {
  const [word, type, key, location, count] = isKind(id, "tuple") ? id.items : [];
  const dtype = isKind(type, "global") ? STORAGES.get(type.name) : undefined;
  const right = isKind(id, "tuple") && id.items.length === 5 && word === "storage" &&
    typeof key === "string" && typeof location === "string";
  if (right && dtype !== undefined && isCount(count)) return { kind: "storage", key, dtype, count };
  return new Unacceptable(
    "persistent id must be a storage's type, key, location and number of elements",
  );
}

/** Whether a value is of one of our kinds. */
export function isKind<Kind extends string>(
  value: PickleValue | undefined,
  kind: Kind,
): value is Extract<PickleValue, { readonly kind: Kind }> {
  return typeof value === "object" && value !== null && value.kind === kind;
}

/** A word for a message. */
export function kindOf(value: PickleValue | undefined): string {
  if (value === null || value === undefined) return "None";
  return typeof value === "object" ? `a ${value.kind}` : `a ${typeof value}`;
}

/** Arguments: as below, with the type after `backward_hooks`. */
function rebuildTypedTensor(args: readonly PickleValue[]): PickleTensor | Unacceptable {
  const [type] = args.slice(6);
  const dtype = isKind(type, "global") ? BYTE_TYPES.get(type.name) : undefined;
  const view = rebuildTensor(args.toSpliced(6, 1));
  if (view instanceof Unacceptable) return view;
  if (dtype !== undefined && view.storage.dtype === "U8") {
    return { ...view, storage: { ...view.storage, dtype } };
  }
  return new Unacceptable("tensor must be of a type of one byte, in a storage of bytes");
}

/** Arguments: storage, offset, size, stride, requires_grad, backward_hooks and perhaps metadata. */
function rebuildTensor(args: readonly PickleValue[]): PickleTensor | Unacceptable {
  const [storage, offset, dims, strides] = args;
  if (
    (args.length !== 6 && args.length !== 7) || !isKind(storage, "storage") || !isCount(offset) ||
    !isShape(dims) || !isShape(strides) || dims.items.length !== strides.items.length
  ) {
    return new Unacceptable("tensor must have a storage, an offset, a size and a stride");
  }
  const view = {
    kind: "tensor",
    storage,
    offset,
    dims: dims.items,
    strides: strides.items,
  } as const;
  const [elements, end] = extent(view);
  if (end <= storage.count && elements <= storage.count) return view;
  return new Unacceptable(
    `tensor must lie in its storage, which has ${storage.count} elements: current value is ${elements} ` +
      `elements up to ${end}`,
  );
}

/**
 * How many elements a view has, and one past the last that it touches. More elements than the storage has
 * (an expanded view) would let a small file ask for any amount of memory. Beyond 2^53 both are inexact, but
 * then beyond every storage too.
 */
function extent({ dims, strides, offset }: PickleTensor): readonly [number, number] {
  const elements = dims.reduce((product, size) => product * size, 1);
  if (elements === 0 || dims.includes(0)) return [0, offset];
  const last = dims.reduce((sum, size, d) => sum + (size - 1) * strides[d]!, offset); // equal ranks
  return [elements, last + 1];
}

interface Shape extends PickleTuple {
  readonly items: readonly number[];
}

function isShape(value: PickleValue | undefined): value is Shape {
  return isKind(value, "tuple") && value.items.length <= RANK_LIMIT && value.items.every(isCount);
}

function isCount(value: PickleValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
