/**
 * A computation graph under construction: inputs, parameters, operators, outputs, with shapes known at
 * every point. `operators.ts` has the typed operators; `model_proto.ts` turns the graph into bytes.
 */

/** Element types that our graphs use. */
export type ElementType = "float32" | "float16" | "int64" | "int32" | "int8" | "uint8";

export const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = {
  int64: 8,
  float32: 4,
  int32: 4,
  float16: 2,
  int8: 1,
  uint8: 1,
};

/** A size, or the name of a size that is known only when the graph runs (such as the batch, `"N"`). */
export type Dim = number | string;

/** A value in a graph: its name, element type and shape. */
export interface Node {
  /** Unique in the graph. */
  readonly name: string;
  readonly type: ElementType;
  /** Its shape, outermost first. */
  readonly dims: readonly Dim[];
}

/** An attribute of an operator: integer, float (`{ float }`), text or list of integers. */
export type Attribute = number | string | readonly number[] | { readonly float: number };

/** One operator application. */
export interface Operation {
  readonly operator: string;
  /** Operator set: `""` is ai.onnx, `"com.microsoft"` the runtime's own. */
  readonly domain: "" | "com.microsoft";
  /** Names of the inputs; `""` leaves an optional one out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** A small tensor that is part of the graph itself (a shape, a row of ones). */
export interface Constant extends Node {
  readonly values: readonly number[];
}

/** What to call and where it lives. */
export interface OperationOptions {
  /** Operator set; `""` (ai.onnx) unless told otherwise. */
  readonly domain?: Operation["domain"];
  readonly attributes?: Operation["attributes"];
  /** Element type of the results; that of the first input unless told otherwise. */
  readonly type?: ElementType;
}

/** A Linear layer as PyTorch has it: W `(out, in)`, b `(out)`. */
export interface LinearLayer {
  readonly weight: string;
  /** Name of its bias; absent = none. */
  readonly bias?: string;
  /** Width of its result. */
  readonly out: number;
  /** A few of its inputs are so large that the others would be lost if rows were rounded to eight bits. */
  readonly unevenInput?: true;
}

/** Adds a layer to a graph: x `(…, in)` to `(…, out)`. */
export type LinearLowering = (graph: GraphBuilder, x: Node, layer: LinearLayer) => Node;

/** A finished graph. */
export interface Graph {
  readonly name: string;
  /** Declared inputs, in order. */
  readonly inputs: readonly Node[];
  /** Declared weights, in order of first use. */
  readonly parameters: readonly Node[];
  readonly constants: readonly Constant[];
  /** What operators make, in order. */
  readonly values: readonly Node[];
  /** Operators in execution order. */
  readonly operations: readonly Operation[];
  /** Results: public name and the value it stands for. */
  readonly outputs: readonly { readonly name: string; readonly node: Node }[];
}

/** Collects a graph; every value's shape is checked as it is added. */
export class GraphBuilder implements Graph {
  readonly #inputs: Node[] = [];
  readonly #parameters = new Map<string, Node>();
  readonly #constants = new Map<string, Constant>();
  readonly #operations: Operation[] = [];
  readonly #outputs: { readonly name: string; readonly node: Node }[] = [];
  #values = 0;
  readonly #made: Node[] = [];
  #lowering: LinearLowering | undefined;

  constructor(
    /** Shows up in the runtime's messages. */
    readonly name: string,
  ) {}

  /** Declares a float32 value that is given at each run. */
  input(name: string, dims: readonly Dim[]): Node {
    if (this.#inputs.some((input) => input.name === name)) {
      throw new RangeError(`Cannot add input ${name} to ${this.name}: it must be new`);
    }
    const node: Node = { name, type: "float32", dims };
    this.#inputs.push(node);
    return node;
  }

  /** As {@link input}, for what several operators may ask for: the same name gives the same node. */
  sharedInput(name: string, dims: readonly Dim[]): Node {
    const known = this.#inputs.find((input) => input.name === name);
    if (known === undefined) return this.input(name, dims);
    expectDims(`input ${name}`, dims, known.dims);
    return known;
  }

  /**
   * Declares a weight, float32 unless told otherwise. Whether it becomes an initializer or an input is
   * decided when the graph is encoded; the same name and shape gives the same node.
   */
  parameter(name: string, dims: readonly number[], type: ElementType = "float32"): Node {
    const known = this.#parameters.get(name);
    if (known !== undefined) {
      expectDims(`parameter ${name}`, dims, known.dims);
      return known;
    }
    const node: Node = { name, type, dims };
    this.#parameters.set(name, node);
    return node;
  }

  /** A constant of the graph itself; equal constants are stored once. */
  constant(dims: readonly number[], values: readonly number[], type: ElementType): Node {
    const count = dims.reduce((product, size) => product * size, 1);
    if (values.length !== count) {
      throw new RangeError(
        `Cannot add constant [${dims}] to ${this.name}: it must have ${count} numbers: ` +
          `current value is ${values.length}`,
      );
    }
    const key = `${type}[${dims}]=${values.every((v) => v === values[0]) ? values[0] : values}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const constant = { name: `constant.${this.#constants.size}`, type, dims, values };
    this.#constants.set(key, constant);
    return constant;
  }

  /** Applies an operator that has one output of the given shape. */
  apply(
    operator: string,
    inputs: readonly (Node | undefined)[],
    dims: readonly Dim[],
    options: OperationOptions = {},
  ): Node {
    return this.applyMany(operator, inputs, [dims], options)[0]!; // one shape in, one node out
  }

  /** Applies an operator that has several outputs, one for each shape. */
  applyMany(
    operator: string,
    inputs: readonly (Node | undefined)[],
    shapes: readonly (readonly Dim[])[],
    options: OperationOptions = {},
  ): Node[] {
    const type = options.type ?? inputs[0]?.type ?? "float32";
    const nodes = shapes.map((dims): Node => ({ name: `v${this.#values++}`, type, dims }));
    this.#operations.push({
      operator,
      domain: options.domain ?? "",
      inputs: inputs.map((input) => input?.name ?? ""),
      outputs: nodes.map((node) => node.name),
      attributes: options.attributes ?? {},
    });
    this.#made.push(...nodes);
    return nodes;
  }

  /** Builds a part with another lowering of linear layers; without one, as before. */
  lowered<T>(lowering: LinearLowering | undefined, build: () => T): T {
    const before = this.#lowering;
    this.#lowering = lowering;
    try {
      return build();
    } finally {
      this.#lowering = before;
    }
  }

  /** How linear layers currently become operators; `undefined` is one float32 operator. */
  get lowering(): LinearLowering | undefined {
    return this.#lowering;
  }

  /** Makes the result of an operator a result of the graph, under a name of its own. */
  output(name: string, node: Node): void {
    if (this.#outputs.some((output) => output.name === name || output.node.name === node.name)) {
      throw new RangeError(`Cannot add output ${name} to ${this.name}: it must be new`);
    }
    if (!this.#operations.some((operation) => operation.outputs.includes(node.name))) {
      throw new RangeError(`Cannot add output ${name} to ${this.name}: an operator must make it`);
    }
    this.#outputs.push({ name, node });
  }

  /** Declared inputs, in order. */
  get inputs(): readonly Node[] {
    return this.#inputs;
  }

  /** Declared weights, in order of first use. */
  get parameters(): readonly Node[] {
    return [...this.#parameters.values()];
  }

  get constants(): readonly Constant[] {
    return [...this.#constants.values()];
  }

  /** What operators make, in order. */
  get values(): readonly Node[] {
    return this.#made;
  }

  /** Operators in execution order. */
  get operations(): readonly Operation[] {
    return this.#operations;
  }

  /** Results: public name and the value it stands for. */
  get outputs(): readonly { readonly name: string; readonly node: Node }[] {
    return this.#outputs;
  }
}

/**
 * Refuses a shape that is not the wanted one.
 *
 * @throws {RangeError} When any size differs.
 */
export function expectDims(what: string, dims: readonly Dim[], wanted: readonly Dim[]): void {
  if (dims.length !== wanted.length || dims.some((size, i) => size !== wanted[i])) {
    throw new RangeError(
      `Cannot build graph: ${what} must be [${wanted}]: current value is [${dims}]`,
    );
  }
}
