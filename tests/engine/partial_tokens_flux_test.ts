/** Partial cells on FLUX: text and picture have tokens of their own, and single blocks mix both. */

import { assertEquals, assertNotEquals } from "@std/assert";
import { type Engine, openEngine } from "../../src/engine/engine.ts";
import { FeatureCache, featureKey } from "../../src/engine/feature_cache.ts";
import { resolveRequest } from "../../src/engine/request.ts";
import { type Run, runSteps, runToEnd } from "../../src/engine/run.ts";
import { gridIds } from "../../src/model/flux/embeddings.ts";
import type { TokenScore } from "../../src/plan/columns.ts";
import { compilePlan } from "../../src/plan/compile.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose } from "../conformance/compare.ts";
import type { HostTensor } from "../conformance/host_operators.ts";
import { hostFlux } from "../model/flux/flux_host.ts";
import { fluxFiles, randomTensors, SMALL_FLUX } from "../model/flux/small_flux.ts";
import { examplePlan } from "../plan/example_plans.ts";

/** Two pictures of 2 × 5 tokens, three tokens of text. */
const [PICTURES, GRID, TEXT] = [2, [2, 5], 3] as const;
const TOKENS = GRID[0] * GRID[1];
const NOISE = normalNoise([PICTURES, TOKENS, SMALL_FLUX.in_channels], 100);
const CONDITIONS = {
  text: normalNoise([PICTURES, TEXT, SMALL_FLUX.joint_attention_dim], 101),
  pooled: normalNoise([PICTURES, SMALL_FLUX.pooled_projection_dim], 102),
};
const TENSORS = randomTensors(SMALL_FLUX);
const SCORE: TokenScore = { attention: 1, age: 0.1, bonus: 0.6, cell: 2 };
/** A dual block's attention and both of its MLPs, then attention and MLP of two single blocks. */
const FULL = ".......";

/** Runs something with a small FLUX. */
async function withFlux(use: (engine: Engine) => Promise<void>): Promise<void> {
  const model = fluxFiles(SMALL_FLUX, TENSORS);
  const engine = await openEngine({ backend: "wasm", model });
  try {
    await use(engine);
    await engine.executor.dispose();
    assertEquals(engine.backend.live, { values: 0, sessions: 0 });
  } finally {
    await engine.close();
  }
}

/** A run of both pictures under these rows; partial cells compute this share of their tokens. */
function runUnder({ model, executor }: Engine, rows: readonly string[], share: number): Run {
  const { modules } = model.transformer;
  const shares = rows.map((row) => row.includes("p") ? [share] : null);
  const plan = examplePlan(rows, {
    ...{ version: 2, modules: modules.map(({ name }) => name) },
    ...{ columns: { shares }, tokenScore: SCORE },
  });
  const request = resolveRequest(model, {
    ...{ noise: NOISE, ...CONDITIONS, imageIds: gridIds(GRID, 3) },
    ...{ labels: [0, 1], steps: rows.length, guidance: 2.5 },
  });
  return { model, executor, request, steps: compilePlan(plan).steps, features: new FeatureCache() };
}

Deno.test("tokens of FLUX are chosen by the attention that both kinds of blocks pay them", async () => {
  await withFlux(async (engine) => {
    const run = runUnder(engine, [FULL, "rpprprp"], 0.4);
    const chosen: (readonly (readonly number[])[])[] = [];
    const { tokens } = run.features;
    const choose = tokens.choose.bind(tokens);
    tokens.choose = (module, question) => {
      chosen.push(choose(module, question));
      return chosen.at(-1)!;
    };
    await runToEnd(runSteps(run));

    const sums: number[][][] = [];
    const [time] = run.request.sampler.times;
    hostFlux(SMALL_FLUX, (name) => exact(TENSORS.get(name)!), {
      ...{ latent: exact(NOISE), text: exact(CONDITIONS.text), pooled: exact(CONDITIONS.pooled) },
      ...{ ids: exact(gridIds(GRID, 3)), time: time!, guidance: 2.5 },
    }, (queries, keys) => sums.push(attendedSums(queries, keys)));
    const [dual, ...singles] = sums;
    const wanted = [
      dual!.map((row) => best(row.slice(TEXT), { count: 4, picture: 0 })), // of ten
      dual!.map((row) => best(row.slice(0, TEXT), { count: 1 })), // of three
      ...singles.map((rows) => rows.map((row) => best(row, { count: 5, picture: TEXT }))), // of 13
    ];
    assertEquals(chosen, wanted);
  });
});

Deno.test("with all tokens partial cells of FLUX have the bits of the full run", async () => {
  await withFlux(async (engine) => {
    const latents = async (row: string, share: number): Promise<Tensor> =>
      (await runToEnd(runSteps(runUnder(engine, [FULL, row], share)))).latents;
    const full = await latents(FULL, 1);
    assertEquals(await latents(".pp.p.p", 1), full);
    assertNotEquals(await latents(".pp.p.p", 0.4), full);
  });
});

for (const [module, count] of [[1, 4], [2, 1], [4, 5]] as const) {
  Deno.test(`partial tokens of FLUX are those of a full run, all others are kept: module ${module}`, async () => {
    await withFlux(async (engine) => {
      const { name, featureDims } = engine.model.transformer.modules[module]!;
      const width = Number(featureDims[0]!.at(-1));
      const last = "rrrrrrr";
      const kept = async (mark: string) => {
        const row = last.slice(0, module) + mark + last.slice(module + 1);
        const run = runUnder(engine, [FULL, row, last], 0.4);
        const { tokens } = run.features;
        const choose = tokens.choose.bind(tokens);
        let chosen: readonly (readonly number[])[] = [];
        tokens.choose = (key, question) => chosen = choose(key, question);
        const loop = runSteps(run);
        await loop.next();
        await loop.next();
        const key = featureKey("joint", { name });
        const tokensOf = { 1: TOKENS, 2: TEXT, 4: TEXT + TOKENS }[module];
        const [value] = run.features.load(key, [[PICTURES, tokensOf, width]]);
        const { data } = await engine.backend.download(value!);
        await loop.return(undefined as never); // leaves early
        const rows = Array.from(
          { length: data.length / width },
          (_, i) => data.slice(i * width, (i + 1) * width),
        );
        return { rows, chosen, tokensOf };
      };
      const [old, fresh, some] = [await kept("r"), await kept("."), await kept("p")];
      assertEquals(some.chosen.map(({ length }) => length), [count, count]);
      for (const [i, data] of some.rows.entries()) {
        const [picture, token] = [Math.floor(i / some.tokensOf), i % some.tokensOf];
        const source = some.chosen[picture]!.includes(token) ? fresh : old;
        // A product of fewer rows may add in another order.
        const [dims, tolerance] = [[width], source === old ? 0 : 1e-6];
        assertClose({ dims, data }, { dims, data: source.rows[i]! }, {
          tolerance,
          what: `row ${i}`,
        });
      }
    });
  });
}

/** What tokens are attended to, summed over queries and heads: of each row, each token. */
function attendedSums(queries: HostTensor, keys: HostTensor): number[][] {
  const [rows, tokens, width] = queries.dims as [number, number, number];
  const size = width / SMALL_FLUX.num_attention_heads;
  const at = ({ data }: HostTensor, row: number, token: number, i: number): number =>
    data[(row * tokens + token) * width + i]!;
  return Array.from({ length: rows }, (_, row) => {
    const sums = new Array<number>(tokens).fill(0);
    for (let head = 0; head < width; head += size) {
      for (let q = 0; q < tokens; q++) {
        const products = sums.map((_, k) => {
          let sum = 0;
          for (let i = head; i < head + size; i++) {
            sum += at(queries, row, q, i) * at(keys, row, k, i);
          }
          return Math.exp(sum / Math.sqrt(size));
        });
        const total = products.reduce((all, each) => all + each, 0);
        products.forEach((each, k) => sums[k]! += each / total);
      }
    }
    return sums;
  });
}

/** The best tokens of a row, in order: each of the picture's cells of 2 × 2 favours its best one. */
function best(
  sums: readonly number[],
  { count, picture }: { readonly count: number; readonly picture?: number },
): readonly number[] {
  const length = Math.hypot(...sums);
  const scores = sums.map((sum) => sum / length);
  for (let column = 0; picture !== undefined && column < GRID[1]; column += 2) {
    const cell = [0, 1].flatMap((y) =>
      [column, column + 1].filter((x) => x < GRID[1]).map((x) => picture + y * GRID[1] + x)
    );
    const top = cell.reduce((a, b) => scores[b]! > scores[a]! ? b : a);
    scores[top]! *= 1 + SCORE.bonus;
  }
  return [...scores.keys()].sort((a, b) => scores[b]! - scores[a]!).slice(0, count)
    .sort((a, b) => a - b);
}

function exact({ dims, data }: Tensor): HostTensor {
  return { dims, data: Float64Array.from(data) };
}
