import { assertEquals } from "@std/assert";
import { openWasm } from "../../../src/backend/wasm.ts";
import { attendTogether } from "../../../src/onnx/fuse/attended_rows.ts";
import { type Graph, GraphBuilder } from "../../../src/onnx/graph.ts";
import { encodeModel } from "../../../src/onnx/model_proto.ts";
import * as operators from "../../../src/onnx/operators.ts";
import { normalNoise } from "../../../src/tensor/random.ts";
import { assertClose } from "../../conformance/compare.ts";
import { plainGraph } from "./plain_graph.ts";

const WIDTH = 8;

function attention(tokens: number): Graph {
  const graph = new GraphBuilder("attention");
  const operand = (name: string) => graph.input(name, ["N", tokens, WIDTH]);
  graph.output("y", operators.attention(graph, [operand("q"), operand("k"), operand("v")], 2));
  return plainGraph(graph);
}

/** How many rows are one sequence: 1 where attention stays as it was. */
function joinedIn({ operations, values }: Graph, tokens: number): number {
  const mixing = operations.find(({ operator }) => operator === "MultiHeadAttention")!;
  const result = values.find(({ name }) => name === mixing.outputs[0])!;
  return Number(result.dims[1]) / tokens;
}

for (
  const [rows, tokens, joined] of [[2, 16, 2], [6, 16, 2], [6, 11, 3], [3, 20, 3], [
    16,
    5,
    8,
  ]] as const
) {
  const name =
    `${joined} of ${rows} rows of ${tokens} tokens attend as one, each to its own tokens`;
  Deno.test(name, async () => {
    const backend = await openWasm({ threads: 1 });
    const graph = attention(tokens);
    const together = attendTogether(graph, { N: rows });
    assertEquals(joinedIn(together, tokens), joined);
    const inputs = Object.fromEntries(["q", "k", "v"].map((input, seed) => {
      const { dims, data } = normalNoise([rows, tokens, WIDTH], seed);
      const large = data.map((value) => 6 * value); // scores of a hundred: what is hidden must be far below
      return [input, backend.upload({ dims, data: large })] as const;
    }));
    const found = [];
    for (const each of [graph, together]) {
      const session = await backend.load(encodeModel(each));
      const { y } = await session.run(inputs, ["y"]);
      found.push(await backend.download(y!));
    }
    await backend.dispose();
    assertClose(found[1]!, found[0]!, { tolerance: 1e-6, what: "attention" });
  });
}

for (
  const [why, tokens, sizes] of [
    ["tokens are enough", 32, { N: 2 }],
    ["there is one row", 16, { N: 1 }],
    ["no few rows fit", 16, { N: 5 }],
    ["rows are not known", 16, {}],
  ] as const
) {
  Deno.test(`attention stays as it was where ${why}`, () => {
    const graph = attention(tokens);
    assertEquals(attendTogether(graph, sizes), graph);
  });
}
