/**
 * Two streams to which the parts of one value are added again and again, and that are joined in between: they stay joined,
 * and each is cut out only where it is read alone. FLUX's single blocks do so with text and image.
 */

import type { Graph, Node, Operation } from "../graph.ts";
import { Uses } from "../uses.ts";

/** `a + first part of whole` and `b + the rest of it`. */
interface SplitSum {
  readonly whole: string;
  readonly axis: number;
  readonly cuts: readonly [Operation, Operation];
  readonly sums: readonly [Operation, Operation];
  readonly operands: readonly [a: string, b: string];
}

/** Keeps streams joined over sums of both. */
export function keepJoined(graph: Graph): Graph {
  const uses = new Uses(graph);
  const splits = splitSums(graph, uses);
  if (splits.length === 0) return graph;
  return new Joiner(graph, uses, splits).graph();
}

class Joiner {
  readonly #bySum = new Map<Operation, SplitSum>();
  /** Keys of streams that something reads joined. */
  readonly #wanted = new Set<string>();
  /** By key of two streams: both as one. */
  readonly #joined = new Map<string, string>();
  readonly #names = new Map<string, string>();
  readonly #made: Node[] = [];

  constructor(readonly of: Graph, readonly uses: Uses, splits: readonly SplitSum[]) {
    for (const split of splits) {
      for (const sum of split.sums) this.#bySum.set(sum, split);
      this.#wanted.add(keyOf(split.operands, split.axis));
    }
    for (const join of of.operations.filter(isJoin)) this.#wanted.add(joinKey(join));
  }

  graph(): Graph {
    const operations = this.of.operations.flatMap((operation) => this.#instead(operation))
      .map((operation) => ({
        ...operation,
        inputs: operation.inputs.map((name) => this.#names.get(name) ?? name),
      }));
    return { ...this.of, operations, values: [...this.of.values, ...this.#made] };
  }

  #instead(operation: Operation): readonly Operation[] {
    const split = this.#bySum.get(operation);
    if (split !== undefined) return operation === split.sums[0] ? this.#sum(split) : [];
    if (!isJoin(operation)) return [operation];
    const key = joinKey(operation);
    const known = this.#joined.get(key);
    if (known !== undefined) {
      this.#names.set(operation.outputs[0]!, known);
      return [];
    }
    this.#joined.set(key, operation.outputs[0]!);
    return [operation];
  }

  /** One sum of both streams, and the parts of it. */
  #sum({ whole, axis, cuts, sums, operands }: SplitSum): readonly Operation[] {
    const results = sums.map(({ outputs }) => outputs[0]!);
    const joined = this.#joined.get(keyOf(operands, axis));
    const goesOn = this.#wanted.has(keyOf(results, axis));
    if (joined === undefined && !goesOn) return sums;
    const join = joined === undefined ? [this.#concat(operands, whole, axis)] : [];
    const sum = this.#value(`${whole}.added`, whole);
    this.#joined.set(keyOf(results, axis), sum);
    const added: Operation = {
      ...sums[0],
      inputs: [joined ?? join[0]!.outputs[0]!, whole],
      outputs: [sum],
    };
    const parts = cuts.map((cut, i): Operation => ({
      ...cut,
      inputs: [sum, ...cut.inputs.slice(1)],
      outputs: [results[i]!],
    }));
    return [...join, added, ...parts];
  }

  #concat(operands: readonly string[], whole: string, axis: number): Operation {
    const outputs = [this.#value(`${whole}.before`, whole)];
    return { operator: "Concat", domain: "", inputs: operands, outputs, attributes: { axis } };
  }

  /** A new value of the shape of another. */
  #value(name: string, like: string): string {
    this.#made.push({ ...this.uses.node(like)!, name }); // a value of the graph
    return name;
  }
}

/** Values that are cut in two, of which each part is only added to something. */
function splitSums(graph: Graph, uses: Uses): readonly SplitSum[] {
  return graph.operations.flatMap((first): readonly SplitSum[] => {
    if (first.operator !== "Slice" || uses.constant(first.inputs[1]!)?.values[0] !== 0) return [];
    const [whole, , end, axes] = first.inputs;
    const second = uses.readers(whole!).find(({ operator, inputs }) =>
      operator === "Slice" && inputs[1] === end && inputs[3] === axes && isEnd(inputs[2]!, uses)
    );
    const axis = uses.constant(axes!)?.values[0];
    if (second === undefined || axis === undefined) return [];
    const sums = [first, second].map((cut) => sumOf(cut, uses));
    const [a, b] = sums;
    if (a === undefined || b === undefined || a === b) return [];
    const operands = [a.inputs[0]!, b.inputs[0]!] as const;
    return [{ whole: whole!, axis, cuts: [first, second], sums: [a, b], operands }];
  });
}

function isEnd(name: string, uses: Uses): boolean {
  return uses.constant(name)?.values[0] === Number.MAX_SAFE_INTEGER;
}

/** The sum of something of the same shape and a part, which nobody else reads. */
function sumOf({ outputs: [part] }: Operation, uses: Uses): Operation | undefined {
  const [sum, ...others] = uses.readers(part!);
  if (sum?.operator !== "Add" || others.length > 0 || uses.isResult(part!)) return undefined;
  const [left, right] = sum.inputs.map((name) => uses.node(name)?.dims);
  return sum.inputs[1] === part && `${left}` === `${right}` ? sum : undefined;
}

function isJoin({ operator, inputs }: Operation): boolean {
  return operator === "Concat" && inputs.length === 2;
}

function joinKey({ inputs, attributes }: Operation): string {
  return keyOf(inputs, Number(attributes["axis"]));
}

function keyOf(streams: readonly string[], axis: number): string {
  return JSON.stringify([...streams, axis]);
}
