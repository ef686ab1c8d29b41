/**
 * A restricted unpickler: it rebuilds tensors' descriptions and the plain containers around them.
 *
 * It reads the opcodes that `torch.save` writes in protocols 2 to 5 and refuses every other one by its name.
 * Nothing is imported, called or executed: the calls it knows are four functions of `pickle_values.ts`.
 * Every opcode makes at most one value, and values are bounded by the pickle's bytes: so is memory.
 */

import { ByteReader } from "./byte_reader.ts";
import { describe } from "../json.ts";
import { OPCODE_NAMES } from "./pickle_opcodes.ts";
import {
  acceptGlobal,
  call,
  instantiate,
  isKind,
  kindOf,
  type PickleValue,
  storageOf,
  Unacceptable,
} from "./pickle_values.ts";
import { fail } from "../read_errors.ts";

/** Opcodes of one pickle; DiT-XL/2 with its optimizer has about 60,000. */
const OPERATIONS = 1 << 19;
/** Open marks: how deep containers may be nested. A training's checkpoint has about ten. */
const MARKS = 64;
/** Values on the stack. Python writes containers in batches of 1,000. */
const STACK = 1 << 14;
/** Bytes of a string or of a line. */
const TEXT = 1 << 14;
const INTEGER_BYTES = 8;
/** Objects that a pickle of few bytes may make, and bytes for each object beyond: a tensor's take about ten. */
const FREE_OBJECTS = 1024;
const BYTES_PER_OBJECT = 4;

/**
 * Reads a whole pickle.
 *
 * @param thing What is read, for messages, such as `data.pkl of model.pt`.
 * @throws {AssetError} When it is not one, or holds anything but tensors in plain containers: the first
 *   opcode, global or call that is refused, by its name and its place.
 */
export function unpickle(bytes: Uint8Array, thing: string): PickleValue {
  return new Machine(new ByteReader(bytes, thing)).run();
}

type Operation = (machine: Machine) => void;

class Machine {
  readonly #stack: PickleValue[] = [];
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickleValue>();
  #opcodeAt = 0;
  #objectsLeft: number;

  constructor(readonly reader: ByteReader) {
    this.#objectsLeft = FREE_OBJECTS + reader.left / BYTES_PER_OBJECT;
  }

  run(): PickleValue {
    const { reader } = this;
    const protocol = reader.uint8() === PROTO ? reader.uint8() : 0;
    if (protocol < 2 || protocol > 5) this.refuse("protocol must be 2 to 5");
    for (let count = 0; count < OPERATIONS; count++) {
      this.#opcodeAt = reader.at;
      const opcode = reader.uint8();
      if (opcode === STOP) return this.#result();
      const operation = OPERATIONS_BY_CODE.get(opcode);
      if (operation === undefined) {
        const name = OPCODE_NAMES.get(opcode) ?? `0x${opcode.toString(16)}`;
        this.refuse(`opcode must be one that torch.save writes: current value is ${name}`);
      }
      operation(this);
    }
    this.refuse(`it must have at most ${OPERATIONS} opcodes`);
  }

  push(value: PickleValue | Unacceptable): void {
    if (value instanceof Unacceptable) this.refuse(value.why);
    if (typeof value === "object" && value !== null && this.#objectsLeft-- <= 0) {
      this.refuse("it must have no more objects than tensors need");
    }
    this.#place(value);
  }

  pop(): PickleValue {
    this.#expectAbove(1);
    return this.#stack.pop()!; // it was just counted
  }

  top(): PickleValue {
    this.#expectAbove(1);
    return this.#stack.at(-1)!; // it was just counted
  }

  mark(): void {
    if (this.#marks.length >= MARKS) this.refuse(`containers must be at most ${MARKS} deep`);
    this.#marks.push(this.#stack.length);
  }

  popMark(): PickleValue[] {
    const mark = this.#marks.pop() ?? this.refuse("there must be a mark");
    return this.#stack.splice(mark);
  }

  put(index: number): void {
    if (index >= OPERATIONS) this.refuse(`memo must have at most ${OPERATIONS} values`);
    this.#memo.set(index, this.top());
  }

  memoize(): void {
    this.put(this.#memo.size);
  }

  get(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) this.refuse(`memo must have value ${index}`);
    this.#place(value); // it is there already: it takes no memory
  }

  text(length: number): string {
    if (length > TEXT) {
      this.refuse(`texts must have at most ${TEXT} bytes: current value is ${length}`);
    }
    return this.reader.text(length);
  }

  refuse(why: string): never {
    fail(`${this.reader.thing} at byte ${this.#opcodeAt}`, why);
  }

  #place(value: PickleValue): void {
    if (this.#stack.length >= STACK) this.refuse(`stack must have at most ${STACK} values`);
    this.#stack.push(value);
  }

  #result(): PickleValue {
    const value = this.pop();
    const more = this.#stack.length + this.#marks.length + this.reader.left;
    if (more > 0) this.refuse("it must end with one value");
    return value;
  }

  /** Values above the innermost mark: those below belong to an unfinished container. */
  #expectAbove(count: number): void {
    if (this.#stack.length - (this.#marks.at(-1) ?? 0) >= count) return;
    this.refuse(`there must be ${count} values on the stack`);
  }
}

const PROTO = 0x80;
const STOP = 0x2e;
const OPERATIONS_BY_CODE: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [0x28, (m) => m.mark()],
  [0x29, (m) => m.push({ kind: "tuple", items: [] })],
  [0x47, (m) => m.push(m.reader.float64())],
  [0x4a, (m) => m.push(m.reader.int32())],
  [0x4b, (m) => m.push(m.reader.uint8())],
  [0x4d, (m) => m.push(m.reader.uint16())],
  [0x4e, (m) => m.push(null)],
  [0x51, (m) => m.push(storageOf(m.pop()))],
  [0x52, reduce],
  [0x58, (m) => m.push(m.text(m.reader.uint32()))],
  [0x5d, (m) => m.push({ kind: "list", items: [] })],
  [0x61, (m) => append(m, [m.pop()])],
  [0x62, build],
  [0x63, (m) => m.push(acceptGlobal(`${m.reader.line(TEXT)}.${m.reader.line(TEXT)}`))],
  [0x65, (m) => append(m, m.popMark())],
  [0x68, (m) => m.get(m.reader.uint8())],
  [0x6a, (m) => m.get(m.reader.uint32())],
  [0x71, (m) => m.put(m.reader.uint8())],
  [0x72, (m) => m.put(m.reader.uint32())],
  [0x73, (m) => setItems(m, [m.pop(), m.pop()].reverse())],
  [0x74, (m) => m.push({ kind: "tuple", items: m.popMark() })],
  [0x75, (m) => setItems(m, m.popMark())],
  [0x7d, (m) => m.push({ kind: "dict", entries: new Map() })],
  [0x81, newObject],
  [0x85, (m) => tuple(m, 1)],
  [0x86, (m) => tuple(m, 2)],
  [0x87, (m) => tuple(m, 3)],
  [0x88, (m) => m.push(true)],
  [0x89, (m) => m.push(false)],
  [0x8a, (m) => m.push(longInteger(m))],
  [0x8c, (m) => m.push(m.text(m.reader.uint8()))],
  [0x93, stackGlobal],
  [0x94, (m) => m.memoize()],
  [0x95, frame],
]);

function tuple(machine: Machine, count: number): void {
  const items = Array.from({ length: count }, () => machine.pop()).reverse();
  machine.push({ kind: "tuple", items });
}

function reduce(machine: Machine): void {
  const args = machine.pop();
  machine.push(call(machine.pop(), args));
}

function newObject(machine: Machine): void {
  const args = machine.pop();
  machine.push(instantiate(machine.pop(), args));
}

/**
 * An object's state is dropped: `_metadata` of a state dict and the fields of a namespace are read, so that
 * what is refused anywhere is refused there too, and then forgotten.
 */
function build(machine: Machine): void {
  machine.pop();
  const object = machine.top();
  if (isKind(object, "dict") || isKind(object, "opaque")) return;
  machine.refuse(`only a dict may have a state: current value is ${kindOf(object)}`);
}

function append(machine: Machine, items: readonly PickleValue[]): void {
  const list = machine.top();
  if (!isKind(list, "list")) {
    machine.refuse(`only a list may be appended to: current value is ${kindOf(list)}`);
  }
  for (const item of items) list.items.push(item);
}

function setItems(machine: Machine, flat: readonly PickleValue[]): void {
  const dict = machine.top();
  if (!isKind(dict, "dict") || flat.length % 2 !== 0) {
    machine.refuse(`only a dict may have entries, in pairs: current value is ${kindOf(dict)}`);
  }
  for (let i = 0; i < flat.length; i += 2) {
    const key = flat[i]!; // i < length
    if (typeof key !== "string" && typeof key !== "number") {
      machine.refuse(`keys must be strings or numbers: current value is ${kindOf(key)}`);
    }
    if (dict.entries.has(key)) {
      machine.refuse(`keys must be there once: current value is ${describe(key)}`);
    }
    dict.entries.set(key, flat[i + 1]!); // the length is even
  }
}

function stackGlobal(machine: Machine): void {
  const name = machine.pop();
  const module = machine.pop();
  if (typeof name !== "string" || typeof module !== "string") {
    machine.refuse("global must have a module and a name");
  }
  machine.push(acceptGlobal(`${module}.${name}`));
}

/** Two's complement, little-endian; a number where it is safe as one. */
function longInteger(machine: Machine): number | bigint {
  const length = machine.reader.uint8();
  if (length > INTEGER_BYTES) {
    machine.refuse(`integers must have at most ${INTEGER_BYTES} bytes: current value is ${length}`);
  }
  const bytes = machine.reader.take(length);
  const big = BigInt.asIntN(
    8 * length,
    bytes.reduceRight((sum, byte) => sum << 8n | BigInt(byte), 0n),
  );
  const number = Number(big);
  return Number.isSafeInteger(number) ? number : big;
}

/** A frame only promises that so many bytes follow. */
function frame(machine: Machine): void {
  const length = machine.reader.uint64();
  const { left } = machine.reader;
  if (length > left) machine.refuse(`frame must have ${length} bytes: current value is ${left}`);
}
