/** Steps beside each other, with a model that is a formula. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Sampler, sampleSteps, startOf } from "../../src/sampler/sampler.ts";
import { makeSampler } from "../../src/sampler/solvers.ts";
import {
  type Call,
  isOneStep,
  mostCalls,
  refine,
  type Refined,
  type Refinement,
  segmented,
  usualSegments,
} from "../../src/sampler/srds.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

const NOISE = normalNoise([1, 1, 4, 4], 3);
const DDIM = { name: "ddim" } as const;
const EULER = { name: "flow-euler" } as const;

/** A prediction that is linear in nothing. */
function predict({ dims, data }: Tensor, time: number): Tensor {
  return { dims, data: data.map((x, i) => Math.tanh(x + 0.3 * Math.sin(i)) * (1 + time / 2000)) };
}

/** The result of the steps one after another. */
async function sequential(
  sampler: Sampler,
  restore?: Refinement["restore"],
): Promise<readonly Tensor[]> {
  const denoise = (latent: Tensor, { time }: { readonly time: number }) =>
    Promise.resolve(predict(latent, time));
  const latents: Tensor[] = [];
  for await (
    const { state } of sampleSteps(sampler, { start: startOf(NOISE), denoise, restore })
  ) latents.push(state.latent);
  return latents;
}

interface Outcome extends Refined {
  readonly seen: readonly Call[];
  /** Rows of each call. */
  readonly rows: readonly number[];
}

async function refined(
  sampler: Sampler,
  { predicts, segments, threshold = 0, restore }:
    & Pick<Parameters<typeof segmented>[1], "predicts" | "segments">
    & Partial<Refinement>,
): Promise<Outcome> {
  const [seen, widths]: [Call[], number[]] = [[], []];
  const calls = refine(segmented(sampler, { segments, predicts }), {
    ...{ noise: NOISE, threshold, restore },
    denoise: (rows) => {
      widths.push(rows.length);
      const of = ({ index, latent }: typeof rows[number]) => predict(latent, sampler.times[index]!);
      return Promise.resolve(rows.map(of));
    },
  });
  for (let next = await calls.next();; next = await calls.next()) {
    if (next.done === true) return { ...next.value, seen, rows: widths };
    seen.push(next.value);
  }
}

/** A solver, and steps that are so many segments of so many. */
const CUTS = fc.record({
  config: fc.constantFrom(DDIM, EULER),
  segments: fc.integer({ min: 1, max: 7 }),
  length: fc.integer({ min: 1, max: 6 }),
});

Deno.test("segments beside each other come to the bits of the steps one after another, in as many rounds as there are", async () => {
  await fc.assert(fc.asyncProperty(CUTS, async ({ config, segments, length }) => {
    const sampler = makeSampler(config, { steps: segments * length, tokens: 16 });
    const predicts = config === DDIM ? "epsilon" : "velocity";
    const { latent, rounds, calls, evaluations, seen, rows } = await refined(sampler, {
      predicts,
      segments,
    });
    assertEquals(latent, (await sequential(sampler)).at(-1));
    assertEquals([rounds, calls], [segments, mostCalls({ segments, length })]);
    assertEquals([seen.length, rows.length], [calls, calls]);
    assertEquals(seen.at(-1)!.count, { calls, evaluations });
    assertEquals(evaluations, rows.reduce((sum, count) => sum + count));
    assertEquals(Math.max(...rows), segments);
    assertEquals(seen.at(-1)!.latent, latent);
  }));
});

Deno.test("after each round one more segment is exact, and calls begin behind it", async () => {
  const sampler = makeSampler(EULER, { steps: 12, tokens: 16 });
  const latents = await sequential(sampler);
  const begun: (readonly [number, Tensor])[][] = [];
  const run = segmented(sampler, { segments: 4, predicts: "velocity" });
  const calls = refine(run, {
    ...{ noise: NOISE, threshold: 0 },
    denoise: (rows) => {
      begun.push(rows.map(({ index, latent }) => [index, latent] as const));
      return Promise.resolve(
        rows.map(({ index, latent }) => predict(latent, sampler.times[index]!)),
      );
    },
  });
  while ((await calls.next()).done !== true);
  const widths = begun.map((rows) => rows.length);
  // A sweep of four, then rounds of three steps, of ever fewer segments, each with a sweep of the rest.
  assertEquals(widths, [1, 1, 1, 1, 4, 4, 4, 1, 1, 1, 3, 3, 3, 1, 1, 2, 2, 2, 1, 1, 1, 1]);
  const firsts = [4, 10, 15, 19].map((call) => begun[call]![0]!);
  assertEquals(firsts.map(([index]) => index), [0, 3, 6, 9]);
  for (const [index, latent] of firsts.slice(1)) assertEquals(latent, latents[index - 1]);
});

Deno.test("rounds end where the result hardly moves, with fewer calls and a result that is near", async () => {
  const sampler = makeSampler(DDIM, { steps: 36, tokens: 16 });
  const exact = (await sequential(sampler)).at(-1)!;
  const distance = ({ data }: Tensor): number =>
    data.reduce((sum, x, i) => sum + Math.abs(x - exact.data[i]!), 0) / data.length;
  const about = { predicts: "epsilon", segments: 6 } as const;
  const found: Outcome[] = [];
  for (const threshold of [Infinity, 0.1, 0.01]) {
    found.push(await refined(sampler, { ...about, threshold }));
  }
  assertEquals(found[0]!.rounds, 1);
  const rounds = found.map(({ rounds }) => rounds);
  assertEquals(rounds, rounds.toSorted((a, b) => a - b));
  assert(rounds.at(-1)! < 6, `${rounds}`);
  for (const [i, { latent, calls }] of found.entries()) {
    assert(calls < mostCalls({ segments: 6, length: 6 }));
    assert(i === 0 || distance(latent) <= distance(found[i - 1]!.latent));
  }
  assert(distance(found.at(-1)!.latent) < 0.01);
});

Deno.test("what is put back after steps is put back after those of every segment", async () => {
  const sampler = makeSampler(EULER, { steps: 10, tokens: 16 });
  const restore: Refinement["restore"] = ({ index, latent: { dims, data } }) => ({
    dims,
    data: data.map((x, i) => i < 5 ? 0.25 * index : x),
  });
  const { latent } = await refined(sampler, { predicts: "velocity", segments: 5, restore });
  assertEquals(latent, (await sequential(sampler, restore)).at(-1));
});

Deno.test("segments that nobody chose divide the steps, near their root", () => {
  assertEquals([50, 28, 25, 36, 100, 13, 1].map((steps) => usualSegments(steps, 10)), [
    ...[5, 4, 5, 6, 10, 1, 1],
  ]);
  fc.assert(fc.property(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 10 }), (
    steps,
    most,
  ) => {
    const segments = usualSegments(steps, most);
    assert(steps % segments === 0 && segments >= 1 && segments <= most);
  }));
});

Deno.test("of the solvers those can be cut whose steps keep nothing", () => {
  const able = (name: Parameters<typeof makeSampler>[0]["name"], steps = 9): boolean =>
    isOneStep(makeSampler({ name }, { steps, tokens: 16 }));
  assert(able("ddim") && able("flow-euler"));
  for (const name of ["dpmpp-2m", "unipc", "deis-3", "heun", "flow-heun", "flow-unipc"] as const) {
    assert(!able(name), name);
  }
});
