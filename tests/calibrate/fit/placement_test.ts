import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { foresee, type Foresight } from "../../../src/calibrate/fit/foresight.ts";
import { placeVisits, settleVisits } from "../../../src/calibrate/fit/placement.ts";
import { normalNoise } from "../../../src/tensor/random.ts";

/** Any cost of a step, the same each time. */
function costs(nodes: number, seed: number): Foresight {
  const table = normalNoise([nodes, nodes, nodes + 1], seed).data.map(Math.abs);
  return {
    nodes,
    error: (visited, to) => {
      const [before = visited[0]!, last = before] = visited.slice(-2);
      return table[(before * nodes + last) * (nodes + 1) + to]! * (to - last);
    },
  };
}

/** The least sum over all choices of nodes. */
function leastSum(foresight: Foresight, count: number): number {
  const { nodes, error } = foresight;
  const from = (visited: readonly number[], sum: number): number => {
    if (visited.length === count) return sum + error(visited, nodes);
    let least = Infinity;
    for (let to = visited.at(-1)! + 1; to < nodes; to++) {
      least = Math.min(least, from([...visited, to], sum + error(visited, to)));
    }
    return least;
  };
  return from([0], 0);
}

Deno.test("placeVisits() finds the least sum of costs that depend on the last two visits", () => {
  for (let seed = 1; seed < 20; seed++) {
    const foresight = costs(14, seed);
    for (const count of [1, 2, 3]) { // the longest gap that is tried is beyond all nodes
      const visited = placeVisits(foresight, { count, importance: () => 1 });
      const sum = visited.reduce((total, _, i) => {
        const to = visited[i + 1] ?? foresight.nodes;
        return total + foresight.error(visited.slice(0, i + 1), to);
      }, 0);
      assertEquals([visited.length, visited[0]], [count, 0]);
      assertAlmostEquals(sum, leastSum(foresight, count), 1e-9);
    }
  }
});

Deno.test("settleVisits() moves visits to where errors are least, the first one never", () => {
  const wanted = [0, 3, 9, 20];
  const foresight: Foresight = {
    nodes: 40,
    error: (visited, to) =>
      (wanted[visited.length] ?? to) === to ? 0 : Math.abs(to - wanted[visited.length]!),
  };
  for (const from of [[0, 1, 2, 3], [0, 30, 31, 39], wanted]) {
    assertEquals(settleVisits(from, foresight, () => 1), wanted);
  }
});

Deno.test("settleVisits() never expects more error than before, by any costs, and keeps the order of visits", () => {
  for (let seed = 1; seed < 20; seed++) {
    const foresight = costs(14, seed);
    const importance = (node: number): number => 1 + node % 3;
    const sum = (visited: readonly number[]): number =>
      visited.reduce((total, _, i) => {
        const to = visited[i + 1] ?? foresight.nodes;
        return total + foresight.error(visited.slice(0, i + 1), to) * importance(to);
      }, 0);
    const placed = placeVisits(foresight, { count: 5, importance });
    const settled = settleVisits(placed, foresight, importance);
    assertEquals(sum(settled) <= sum(placed), true);
    assertEquals([settled.length, settled[0]], [5, 0]);
    assertEquals(settled.every((node, i) => i === 0 || node > settled[i - 1]!), true);
    assertEquals(settled.at(-1)! < foresight.nodes, true);
  }
});

Deno.test("placeVisits() goes closer where errors count more", () => {
  const even: Foresight = { nodes: 40, error: (visited, to) => (to - visited.at(-1)!) ** 2 };
  const placed = (importance: (node: number) => number): number =>
    placeVisits(even, { count: 5, importance }).reduce((sum, node) => sum + node, 0);
  assertEquals(placed(() => 1), 0 + 8 + 16 + 24 + 32);
  assertEquals(placed((node) => (node + 1) ** 2) > placed(() => 1), true);
});

Deno.test("placeVisits() refuses more visits than there are places, and none", () => {
  for (const count of [0, 15]) {
    assertThrows(
      () => placeVisits(costs(14, 1), { count, importance: () => 1 }),
      RangeError,
      `calls of the model must be 1 … 14: current value is ${count}`,
    );
  }
});

Deno.test("foresee() tells the error of weights that are fitted on the trajectory, without running", () => {
  const numbers = (seed: number): Float32Array => normalNoise([400], seed).data;
  const latents = [0, 1, 2, 3].map(numbers);
  const outputs = [10, 11, 12].map(numbers);
  // What is arrived at is a sum of what is weighed: no error is left. Rounding of float32 and the ridge remain.
  latents[3] = latents[2]!.map((x, i) => 2 * x - outputs[2]![i]! + 0.5 * outputs[0]![i]!);
  const { nodes, error } = foresee({ times: [3, 2, 1], latents, outputs });
  assertEquals(nodes, 3);
  assertAlmostEquals(error([0, 2], 3), 0, 1e-6);
  assertEquals(error([1, 2], 3) > 0.1, true);
});
