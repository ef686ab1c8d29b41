import { assertEquals } from "@std/assert";
import { rowSets } from "../../../src/engine/memory/run.ts";
import { workingSet } from "../../../src/engine/memory/working_set.ts";
import { dit } from "../../../src/model/dit/dit.ts";
import { parseDitConfig } from "../../../src/model/dit/config.ts";
import { fluxModel } from "../../../src/model/flux/open.ts";
import { parseFluxConfig } from "../../../src/model/flux/config.ts";
import { GraphBuilder } from "../../../src/onnx/graph.ts";
import { add, attention, linear, reshape, silu } from "../../../src/onnx/operators.ts";

Deno.test("workingSet() holds inputs all along, values to their last use, results to the end", () => {
  const graph = new GraphBuilder("g");
  const x = graph.input("x", ["N", 10]);
  const wide = linear(graph, x, graph.parameter("w", [30, 10])); // (N, 30)
  const narrow = linear(graph, silu(graph, wide), graph.parameter("v", [10, 30])); // SiLU is two operators
  graph.output("y", add(graph, narrow, x));
  // At the SiLU's product: x, the wide value, its sigmoid and their product.
  assertEquals(workingSet(graph, { N: 2 }), 4 * 2 * (10 + 3 * 30));
});

Deno.test("workingSet() counts reshaped values once, and rows that only the run knows", () => {
  const graph = new GraphBuilder("g");
  const x = graph.input("x", ["N", 4, 8]);
  const flat = reshape(graph, x, ["N", 32]);
  graph.output("a", silu(graph, flat));
  // x, its sigmoid, the product; nothing for the reshaped x.
  assertEquals(workingSet(graph, { N: 3 }), 4 * 3 * 32 * 3);
  const rows = new GraphBuilder("rows");
  const tokens = rows.input("x", ["N", 4, 8]);
  rows.output("y", linear(rows, tokens, rows.parameter("w", [16, 8]))); // through (N·4, 8)
  assertEquals(workingSet(rows, { N: 3 }), 4 * 3 * 4 * (8 + 16));
});

Deno.test("workingSet() counts what attention holds inside: split heads, and the scores of each", () => {
  const graph = new GraphBuilder("g");
  const project = (name: string) =>
    linear(graph, graph.sharedInput("x", ["N", 5, 8]), graph.parameter(name, [8, 8]));
  const [q, k, v] = [project("q"), project("k"), project("v")];
  graph.output("y", attention(graph, [q, k, v], 2));
  const [tensor, scores] = [5 * 8, 2 * 5 * 5];
  // x, q, k, v and the result; copies of q, k, v and of the result by heads; scores.
  assertEquals(workingSet(graph, { N: 3 }), 4 * 3 * (5 * tensor + 4 * tensor + scores));
});

Deno.test("rowSets() grow with tokens, and are known for every size of FLUX", () => {
  const sets = (input: number): number =>
    rowSets(dit(parseDitConfig({ input_size: input, hidden_size: 48, depth: 1, num_heads: 3 })))
      .largest;
  const [small, large] = [sets(8), sets(16)];
  assertEquals(large > 4 * small, true); // four times the tokens, and scores grow with their square
  const flux = rowSets(fluxModel(parseFluxConfig({ guidance_embeds: true })).transformer);
  assertEquals(flux.whole >= flux.largest, true);
});
