/**
 * Products in float16: linear layers and what lies between them. The stream that features are added to, its norms and
 * modulation stay float32.
 */

import type { Graph, LinearLowering, Node, Operation } from "./graph.ts";
import { linear } from "./operators.ts";
import { Uses } from "./uses.ts";

const [FLOAT, HALF] = [1, 10]; // TensorProto.DataType

/** A layer in float16 between two casts, most of which {@link keepHalf} takes out again. */
export const halfProducts: LinearLowering = (graph, x, layer) => {
  const { weight, bias, out } = layer;
  const half = graph.apply("Cast", [x], x.dims, { attributes: { to: HALF }, type: "float16" });
  const matrix = graph.parameter(weight, [out, Number(x.dims.at(-1))], "float16");
  const offset = bias === undefined ? undefined : graph.parameter(bias, [out], "float16");
  const product = linear(graph, half, matrix, offset);
  return graph.apply("Cast", [product], product.dims, {
    attributes: { to: FLOAT },
    type: "float32",
  });
};

/**
 * By operator that is computed in the type of its first inputs: how many of them it follows. RMS norms, those of queries
 * and keys, add up squares in float32 in either; after them comes attention, which is float16.
 */
const FOLLOWING: Readonly<Record<string, number>> = {
  Concat: Infinity,
  Gelu: 1,
  Reshape: 1,
  RotaryEmbedding: 1,
  SimplifiedLayerNormalization: 1,
  Slice: 1,
  Split: 1,
};
/** Of those that have others of its type: at which places. */
const OTHERS: Readonly<Record<string, readonly number[]>> = {
  RotaryEmbedding: [2, 3],
  SimplifiedLayerNormalization: [1],
};

/**
 * Leaves out casts to float32 that are cast back: what lies between two products stays float16, and so does attention,
 * which is two products itself. What is read in float32 too is widened once, what is read in float16 is rounded once.
 */
export function keepHalf(graph: Graph): Graph {
  const pass = new HalfPass(graph);
  for (const operation of graph.operations) pass.add(operation);
  for (const { node } of graph.outputs) pass.widen(node.name);
  const { name, inputs, constants, outputs } = graph; // a builder has getters
  const values = [...graph.values, ...pass.values];
  const { parameters, operations } = pass;
  return { name, inputs, parameters, constants, values, outputs, operations };
}

/** One walk over operators in execution order. */
class HalfPass {
  readonly operations: Operation[] = [];
  /** Values that were not in the graph. */
  readonly values: Node[] = [];
  readonly #nodes: ReadonlyMap<string, Node>;
  readonly #uses: Uses;
  /** Parameters that are float16 themselves, for nobody reads them in float32. */
  readonly #narrowed = new Set<string>();
  /** By float32 value: the same in float16. */
  readonly #halves = new Map<string, string>();
  /** Float32 values that were float16 first. */
  readonly #born = new Set<string>();
  /** Those of them that no operator has made yet. */
  readonly #unmade = new Set<string>();
  /** By result of a cast that is left out: what stands for it. */
  readonly #aliases = new Map<string, string>();

  constructor(readonly graph: Graph) {
    this.#uses = new Uses(graph);
    this.#nodes = new Map(
      [...graph.inputs, ...graph.parameters, ...graph.values].map((node) => [node.name, node]),
    );
  }

  get parameters(): readonly Node[] {
    return this.graph.parameters.map((node) =>
      this.#narrowed.has(node.name) ? { ...node, type: "float16" } : node
    );
  }

  add(given: Operation): void {
    const inputs = given.inputs.map((name) => this.#aliases.get(name) ?? name);
    const operation = { ...given, inputs };
    const { operator, outputs: [result = ""], attributes } = operation;
    const [first = ""] = inputs;
    if (operator === "Cast" && attributes["to"] === HALF) {
      this.#aliases.set(result, this.#halfOf(first, result));
    } else if (operator === "Cast" && this.#nodes.get(first)?.type === "float16") {
      this.#bear(result, first);
    } else if (operator === "Shape" && this.#unmade.has(first)) {
      this.operations.push({ ...operation, inputs: [this.#halves.get(first)!] }); // as every unmade one
    } else if (this.#staysHalf(operation)) {
      this.#addHalf(operation);
    } else {
      for (const name of inputs) this.widen(name);
      this.operations.push(operation);
    }
  }

  /** Makes a float32 value that was left out. */
  widen(name: string): void {
    if (!this.#unmade.delete(name)) return;
    this.#cast(this.#halves.get(name)!, name, FLOAT); // as every unmade one
  }

  #staysHalf({ operator, inputs }: Operation): boolean {
    const isBorn = (name: string): boolean => this.#born.has(name);
    if (operator === "MultiHeadAttention") return inputs.some(isBorn);
    return operator in FOLLOWING && inputs.slice(0, FOLLOWING[operator]).every(isBorn);
  }

  #addHalf(operation: Operation): void {
    const { operator, inputs, outputs } = operation;
    const numbers = FOLLOWING[operator] ?? Infinity;
    const isNumber = (i: number): boolean => i < numbers || OTHERS[operator]?.includes(i) === true;
    const halves = inputs.map((name, i) => isNumber(i) && name !== "" ? this.#halfOf(name) : name);
    const results = outputs.map((name) => this.#named(`${name}.half`, name));
    this.operations.push({ ...operation, inputs: halves, outputs: results });
    outputs.forEach((name, i) => this.#bear(name, results[i]!)); // as many
  }

  /** A float32 value in float16: rounded now, under this name, if it has not been. */
  #halfOf(name: string, result?: string): string {
    const known = this.#halves.get(name);
    if (known !== undefined) return known;
    if (this.#isWeight(name) && this.#uses.readers(name).length === 1) {
      this.#narrowed.add(name);
      return name;
    }
    const half = result ?? this.#named(`${name}.half`, name);
    this.#halves.set(name, half);
    this.#cast(name, half, HALF);
    return half;
  }

  #isWeight(name: string): boolean {
    return this.graph.parameters.some((parameter) => parameter.name === name);
  }

  /** A float32 value that is there in float16. */
  #bear(name: string, half: string): void {
    this.#halves.set(name, half);
    this.#born.add(name);
    this.#unmade.add(name);
  }

  #named(name: string, like: string): string {
    this.values.push({ name, type: "float16", dims: this.#nodes.get(like)?.dims ?? [] });
    return name;
  }

  #cast(from: string, result: string, to: number): void {
    this.operations.push({
      operator: "Cast",
      domain: "",
      inputs: [from],
      outputs: [result],
      attributes: { to },
    });
  }
}
