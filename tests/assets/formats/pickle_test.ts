import { assert, assertEquals, assertThrows } from "@std/assert";
import { unpickle } from "../../../src/assets/formats/pickle.ts";
import { isKind, type PickleValue } from "../../../src/assets/formats/pickle_values.ts";
import { AssetError } from "../../../src/errors.ts";
import { joinBytes } from "../../../src/tensor/bytes.ts";
import { integer, numbers, opcodes, tensorOpcodes, text } from "./zips.ts";

const VIEW = { storage: "FloatStorage", count: 6, offset: 1, dims: [2, 2], strides: [2, 1] };
const TENSOR = {
  kind: "tensor",
  storage: { kind: "storage", key: "0", dtype: "F32", count: 6 },
  offset: 1,
  dims: [2, 2],
  strides: [2, 1],
};

/** Reads opcodes behind a header of protocol 2 and before STOP. */
function read(...parts: readonly (string | number | Uint8Array)[]): PickleValue {
  return unpickle(opcodes(0x80, 2, ...parts, "."), "p");
}

function global(module: string, name: string): string {
  return `c${module}\n${name}\n`;
}

Deno.test("unpickle() reads plain data in plain containers", () => {
  const flat = read(
    opcodes("(", integer(-7), "K", 200, "M", 1, 2, "N", 0x88, 0x89, text("é\0"), "G"),
    Uint8Array.of(0xbf, 0xf8, 0, 0, 0, 0, 0, 0),
    opcodes(0x8a, 0, 0x8a, 1, 0xff, 0x8a, 5, 0, 0, 0, 0, 1, "t"),
  );
  assert(isKind(flat, "tuple"));
  assertEquals(flat.items, [-7, 200, 513, null, true, false, "é\0", -1.5, 0, -1, 2 ** 32]);
  const nested = read("}(", text("a"), "]K\x01aK\x02", 0x85, "a(K\x03K\x04e", "K\x05K\x06u");
  assert(isKind(nested, "dict"));
  assertEquals([...nested.entries.keys()], ["a", 5]);
});

Deno.test("unpickle() rebuilds a tensor's description, also inside of a parameter", () => {
  assertEquals<unknown>(read(tensorOpcodes("0", VIEW)), TENSOR);
  const parameter = [global("torch._utils", "_rebuild_parameter"), "(", tensorOpcodes("0", VIEW)];
  const hooks = [0x88, global("collections", "OrderedDict"), ")RtR"];
  assertEquals<unknown>(read(...parameter, ...hooks), TENSOR);
});

Deno.test("unpickle() drops the state of an OrderedDict and all of a Namespace", () => {
  const dict = read(global("collections", "OrderedDict"), ")R}", text("_metadata"), "}sb");
  assertEquals<unknown>(dict, { kind: "dict", entries: new Map() });
  const args = read(global("argparse", "Namespace"), ")", 0x81, "}", text("epochs"), "K\x05sb");
  assertEquals<unknown>(args, { kind: "opaque" });
});

Deno.test("unpickle() keeps identity through the memo, also of a list that holds itself", () => {
  const tuple = read("]q\x00h\x00a", "h\x00", 0x86);
  assert(isKind(tuple, "tuple"));
  const [list, again] = tuple.items;
  assert(isKind(list, "list") && list === again && list.items[0] === list);
});

Deno.test("unpickle() reads the last of a chain of 20,000 nested tuples without going in", () => {
  const value = read("N", opcodes(...Array(20_000).fill(opcodes(0x85, "q\x00q\x00"))));
  assert(isKind(value, "tuple"));
});

const GLOBALS: readonly (readonly [string, string])[] = [
  ["posix", "system"],
  ["os", "system"],
  ["builtins", "eval"],
  ["__builtin__", "getattr"],
  ["torch", "load"],
  ["torch", "ComplexFloatStorage"],
  ["torch._utils", "_rebuild_tensor"],
  ["torch._utils", "_rebuild_device_tensor_from_numpy"],
  ["numpy.core.multiarray", "_reconstruct"],
  ["_codecs", "encode"],
  ["collections", "defaultdict"],
  ["", "constructor"],
  ["Object", "__proto__"],
];

Deno.test("unpickle() refuses every global but its own, by name and place, in both notations", () => {
  for (const [module, name] of GLOBALS) {
    const message = `Cannot read p at byte 3: global must be one that rebuilds tensors: ` +
      `current value is ${module}.${name}`;
    const plain = assertThrows(() => read("N", global(module, name), ")R"), AssetError);
    assertEquals(plain.message, message);
    const stacked = (): PickleValue => read(text(module), text(name), 0x93);
    assert(
      assertThrows(stacked, AssetError).message.endsWith(`current value is ${module}.${name}`),
    );
  }
});

Deno.test("unpickle() refuses every opcode that torch.save does not write, by name", () => {
  const names = new Map([
    ["i", "INST"],
    ["o", "OBJ"],
    ["\x92", "NEWOBJ_EX"],
    ["\x82", "EXT1"],
    ["\x84", "EXT4"],
    ["P", "PERSID"],
    ["I", "INT"],
    ["V", "UNICODE"],
    ["B", "BINBYTES"],
    ["\x8b", "LONG4"],
    ["\x8d", "BINUNICODE8"],
    ["\x8e", "BINBYTES8"],
    ["\x96", "BYTEARRAY8"],
    ["\x97", "NEXT_BUFFER"],
    ["\x8f", "EMPTY_SET"],
    ["2", "DUP"],
    ["0", "POP"],
    ["\x80", "PROTO"],
    ["\xff", "0xff"],
  ]);
  for (const [code, name] of names) {
    assertThrows(
      () => read("N", code.charCodeAt(0), numbers([8, 2 ** 62])),
      AssetError,
      `Cannot read p at byte 3: opcode must be one that torch.save writes: current value is ${name}`,
    );
  }
});

/** A call of `_rebuild_tensor_v3`: a view of four bytes that names its type. */
function typed(storage: string, type: string | number): Uint8Array {
  const id = ["((", text("storage"), storage, text("0"), text("cpu"), integer(4), "tQ"];
  const view = [integer(0), integer(4), 0x85, integer(1), 0x85];
  const hooks = [0x89, global("collections", "OrderedDict"), ")R"];
  return opcodes(
    global("torch._utils", "_rebuild_tensor_v3"),
    ...id,
    ...view,
    ...hooks,
    type,
    "tR",
  );
}
const UNTYPED = global("torch.storage", "UntypedStorage");
const FLOAT8 = global("torch", "float8_e5m2");

Deno.test("unpickle() rebuilds a view of bytes that names its type", () => {
  const storage = { kind: "storage", key: "0", dtype: "F8_E5M2", count: 4 };
  const view = { kind: "tensor", storage, offset: 0, dims: [4], strides: [1] };
  assertEquals<unknown>(read(typed(UNTYPED, FLOAT8)), view);
});

const tensor = (change: Partial<typeof VIEW>): Uint8Array =>
  tensorOpcodes("0", { ...VIEW, ...change });
const REFUSED: Readonly<
  Record<string, readonly [readonly (string | number | Uint8Array)[], string]>
> = {
  "a tensor beyond its storage": [
    [tensor({ offset: 3 })],
    "tensor must lie in its storage, which has 6 elements: current value is 4 elements up to 7",
  ],
  "a tensor expanded beyond its storage": [
    [tensor({ dims: [1 << 30], strides: [0] })],
    "current value is 1073741824 elements up to 2",
  ],
  "a tensor of more elements than numbers can count": [
    [tensor({ dims: Array(30).fill(1 << 30), strides: Array(30).fill(0) })],
    "tensor must lie in its storage",
  ],
  "strides beyond all numbers": [
    [tensor({ dims: [2, 2], strides: [(1 << 31) - 1, 1] })],
    "4 elements up to 2147483650",
  ],
  "a negative stride": [[tensor({ strides: [-2, 1] })], "tensor must have a storage, an offset"],
  "a negative offset": [[tensor({ offset: -1 })], "tensor must have a storage, an offset"],
  "strides of another rank": [[tensor({ strides: [1] })], "tensor must have a storage, an offset"],
  "a typed view of floats": [
    [typed(global("torch", "FloatStorage"), FLOAT8)],
    "tensor must be of a type of one byte, in a storage of bytes",
  ],
  "a typed view without a type": [[typed(UNTYPED, "N")], "tensor must be of a type of one byte"],
  "a typed view of another type": [
    [typed(UNTYPED, global("torch", "uint16"))],
    "current value is torch.uint16",
  ],
  "a rank of 33": [
    [tensor({ dims: Array(33).fill(1), strides: Array(33).fill(1) })],
    "tensor must have a storage, an offset",
  ],
  "a storage of unknown type": [
    [opcodes("((", text("storage"), "N", text("0"), text("cpu"), integer(1), "tQ")],
    "persistent id must be a storage's type, key, location and number of elements",
  ],
  "a persistent id that is a word": [[text("storage"), "Q"], "persistent id must be"],
  "a storage called": [[global("torch", "FloatStorage"), ")R"], "call must be of a function"],
  "a Namespace called": [[global("argparse", "Namespace"), ")R"], "call must be of a function"],
  "an OrderedDict with arguments": [
    [global("collections", "OrderedDict"), "]", 0x85, "R"],
    "current value is collections.OrderedDict with 1 arguments",
  ],
  "a word called": [[text("eval"), ")R"], "current value is a string with 0 arguments"],
  "an object of another class": [
    [global("collections", "OrderedDict"), ")", 0x81],
    "object must be an argparse.Namespace: current value is collections.OrderedDict",
  ],
  "a state for a tensor": [[tensor({}), "}b"], "only a dict may have a state"],
  "a global from numbers": [["K\x01K\x02", 0x93], "global must have a module and a name"],
  "an append to a dict": [["}K\x01a"], "only a list may be appended to: current value is a dict"],
  "an entry of a list": [["]K\x01K\x02s"], "only a dict may have entries"],
  "half an entry": [["}(K\x01u"], "only a dict may have entries, in pairs"],
  "a key that is a dict": [["}}Ns"], "keys must be strings or numbers: current value is a dict"],
  "a key given twice": [["}K\x01NsK\x01Ns"], "keys must be there once: current value is 1"],
  "a memo that was never filled": [["h\x00"], "memo must have value 0"],
  "a memo of four billion": [["Nr", numbers([4, 2 ** 32 - 1])], "memo must have at most 524288"],
  "a put of nothing": [["q\x00"], "there must be 1 values on the stack"],
  "a tuple of less than there is": [["N", 0x86], "there must be 1 values on the stack"],
  "values of an unfinished container": [["N(", 0x85], "there must be 1 values on the stack"],
  "an end without a mark": [["Nt"], "there must be a mark"],
  "an end with a mark": [["(N"], "it must end with one value"],
  "two values": [["NN"], "it must end with one value"],
  "no value": [[""], "there must be 1 values on the stack"],
  "bytes behind the end": [["N.."], "it must end with one value"],
  "65 nested marks": [["(".repeat(65)], "containers must be at most 64 deep"],
  "20,000 values on the stack": [["K\x01".repeat(20_000)], "stack must have at most 16384 values"],
  "a text of four gigabytes": [
    ["X", numbers([4, 2 ** 32 - 1])],
    "texts must have at most 16384 bytes: current value is 4294967295",
  ],
  "a text that is cut": [["X", numbers([4, 100])], "it must have 100 bytes at byte 7"],
  "a text that is not UTF-8": [[opcodes("X", numbers([4, 1]), 0xff)], "must be UTF-8"],
  "a global of one line": [["cposix\n"], "the line at byte 9 must end within 16384 bytes"],
  "an integer of 255 bytes": [[0x8a, 255], "integers must have at most 8 bytes"],
  "a frame beyond the end": [[0x95, numbers([8, 2 ** 40])], "frame must have 1099511627776 bytes"],
  "a frame of 2^63": [[0x95, numbers([8, 2 ** 63])], "must be below 2^53"],
};

for (const [what, [parts, message]] of Object.entries(REFUSED)) {
  Deno.test(`unpickle() refuses ${what}`, () => {
    assertThrows(() => read(...parts), AssetError, message);
  });
}

Deno.test("unpickle() refuses other protocols, and what is no pickle", () => {
  for (const head of [[0x80, 1], [0x80, 6], [0x28, 0x2e]]) {
    const bytes = joinBytes([Uint8Array.from(head), opcodes("N.")]);
    assertThrows(() => unpickle(bytes, "p"), AssetError, "protocol must be 2 to 5");
  }
  assertThrows(() => unpickle(new Uint8Array(), "p"), AssetError, "it must have 1 bytes at byte 0");
  assertThrows(() => unpickle(opcodes(0x80, 2, "N"), "p"), AssetError, "it must have 1 bytes");
});

Deno.test("unpickle() ends a flood of opcodes, however they hide what they make", () => {
  const objects = "it must have no more objects than tensors need";
  const floods: readonly (readonly [string, string])[] = [
    ["]q\x00" + "(}}}}}}}e".repeat(60_000), objects],
    ["N" + "\x85".repeat(600_000), objects],
    ["]q\x00" + "(" + "h\x00".repeat(10_000) + "e", "it must end with one value"], // itself, 10,000 times
    ["]" + "q\x00".repeat(600_000), "it must have at most 524288 opcodes"],
  ];
  for (const [flood, message] of floods) {
    const bytes = Uint8Array.from(flood, (letter) => letter.charCodeAt(0));
    assertThrows(() => read(bytes, "N"), AssetError, message);
  }
});
