import { assert, assertEquals } from "@std/assert";
import { fitRollout } from "../../../src/calibrate/fit/rollout.ts";
import { recordTrajectory } from "../../../src/calibrate/fit/trajectory.ts";
import { makeSampler } from "../../../src/sampler/solvers.ts";
import { SIZE, toyEnsemble } from "./toy_ensemble.ts";

const times = Array.from({ length: 60 }, (_, i) => 999 - 16 * i);
const dense = makeSampler({ name: "dpmpp-3m" }, { steps: times.length, times, tokens: 0 });
const FITTED = 8 * SIZE;
const ridge = 1e-6;

function heldBackError(latents: Float32Array, truth: Float32Array): number {
  const squares = truth.slice(FITTED).map((value, i) => (value - latents[FITTED + i]!) ** 2);
  return Math.sqrt(squares.reduce((sum, value) => sum + value, 0) / squares.length);
}

Deno.test("fitRollout() comes nearer to the converged solution than DDIM and a solver of third order", async () => {
  const ensemble = toyEnsemble();
  const truth = await recordTrajectory(ensemble, dense);
  const visited = [0, 9, 18, 27, 36, 45, 54];
  const { latents, update } = await fitRollout({ ensemble, truth, fitted: FITTED }, {
    visited,
    ridge,
  });
  const error = heldBackError(latents.at(-1)!, truth.latents.at(-1)!);
  for (const name of ["ddim", "dpmpp-3m"] as const) {
    const own = visited.map((node) => times[node]!);
    const rival = makeSampler({ name }, { steps: own.length, times: own, tokens: 0 });
    const solved = await recordTrajectory(ensemble, rival);
    assert(error < heldBackError(solved.latents.at(-1)!, truth.latents.at(-1)!) / 2);
  }
  assertEquals(update.map(({ length }) => length), [2, 3, 4, 5, 6, 7, 8]);
});

Deno.test("fitRollout() gives the same as from the start where it goes on from what is known, in fewer calls", async () => {
  const calls: number[] = [];
  const ensemble = toyEnsemble(calls);
  const truth = await recordTrajectory(ensemble, dense);
  const task = { ensemble, truth, fitted: FITTED };
  const known = await fitRollout(task, { visited: [0, 10, 20, 30, 40], ridge });
  for (const [visited, saved] of [[[0, 10, 23, 30, 40], 2], [[0, 10, 20, 30, 45], 4]] as const) {
    calls.length = 0;
    const again = await fitRollout(task, { visited, ridge }, known);
    assertEquals(calls.length, visited.length - saved);
    assertEquals(again, await fitRollout(task, { visited, ridge }));
  }
});
