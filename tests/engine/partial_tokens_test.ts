/** Partial cells: some tokens of a module are computed, chosen by rule, the others have its last feature. */

import { assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import golden from "../golden/policies/partial_tokens.json" with { type: "json" };
import { openSafetensors } from "../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../src/assets/source.ts";
import type { Backend } from "../../src/backend/backend.ts";
import { openNative } from "../../src/backend/native.ts";
import { openWasm } from "../../src/backend/wasm.ts";
import { PlanError } from "../../src/errors.ts";
import { openEngine } from "../../src/engine/engine.ts";
import { Executor } from "../../src/engine/executor.ts";
import { resolveRequest } from "../../src/engine/request.ts";
import { type Run, runSteps, runToEnd } from "../../src/engine/run.ts";
import { expectCells } from "../../src/engine/segment/expect_cells.ts";
import type { PlanColumns, TokenScore } from "../../src/plan/columns.ts";
import { compilePlan, type Step } from "../../src/plan/compile.ts";
import { predictSpeedup } from "../../src/plan/cost.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose } from "../conformance/compare.ts";
import { examplePlan } from "../plan/example_plans.ts";
import { FULL, interfere, openSmallModel, runOf } from "./small_model.ts";

const BACKENDS = [
  ["initializers", openWasm],
  ["inputs", openWasm],
  ["initializers", openNative],
] as const;

/** Runs something with an executor of the small model; nothing stays. */
async function withExecutor(
  open: () => Promise<Backend>,
  weights: Backend["weights"],
  use: (executor: Executor, onLoad: string[]) => Promise<void>,
): Promise<void> {
  const model = await openSmallModel();
  const backend = await open();
  const loaded: string[] = [];
  const watched = interfere(backend, { weights, onLoad: (name) => void loaded.push(name) });
  const executor = new Executor(watched, model.transformer, model.weights);
  try {
    await use(executor, loaded);
    await executor.dispose();
    assertEquals(backend.live, { values: 0, sessions: 0 });
  } finally {
    await backend.dispose();
    await model.close();
  }
}

/** Final latents of a run, and the tokens that were chosen, by module and call. */
async function follow(
  run: Run,
): Promise<{ readonly latents: Tensor; readonly chosen: readonly (readonly number[][])[] }> {
  const chosen: number[][][] = [];
  const { tokens } = run.features;
  const choose = tokens.choose.bind(tokens);
  tokens.choose = (module, question) => {
    const found = choose(module, question);
    chosen.push(found.map((list) => [...list]));
    return found;
  };
  const { latents } = await runToEnd(runSteps(run));
  return { latents, chosen };
}

/** ProCache's symbols as rows: 1 computes, 0 reuses, 2 computes some tokens of the MLPs of later blocks. */
const ROWS = golden.symbols.map((symbol) => ["rrrrrr", "......", "rrrprp"][symbol]!);
const COLUMNS: PlanColumns = {
  shares: golden.symbols.map((symbol, step) => symbol === 2 ? golden.shares[step]!.slice(1) : null),
};

for (const [weights, open] of BACKENDS) {
  Deno.test(`partial tokens are those of ProCache's rule in PyTorch, by ${open.name} with weights as ${weights}`, async () => {
    const { labels, noise } = await firstPictures(2);
    await withExecutor(open, weights, async (executor) => {
      const model = await openSmallModel();
      const { tokenScore } = golden;
      const plain = await runOf(model, executor, ROWS, COLUMNS, tokenScore);
      const request = resolveRequest(model, { labels, noise, steps: ROWS.length, guidance: 4 });
      const { latents, chosen } = await follow({ ...plain, request });
      await model.close();
      assertEquals(chosen, golden.chosen.map(({ tokens }) => tokens));
      const wanted = { dims: latents.dims, data: Float32Array.from(golden.latents) };
      assertClose(latents, wanted, { tolerance: 3e-4, what: "latents" }); // as of runs in full
    });
  });

  Deno.test(`with all tokens a partial cell has the bits of the full run, by ${open.name} with weights as ${weights}`, async () => {
    await withExecutor(open, weights, async (executor, loaded) => {
      const model = await openSmallModel();
      const run = async (rows: readonly string[], columns?: PlanColumns, score?: TokenScore) =>
        (await follow(await runOf(model, executor, rows, columns, score))).latents;
      const full = await run([FULL, FULL, FULL, FULL]);
      const rows = [FULL, ".p.p.p", FULL, "...p.p"];
      const all: PlanColumns = { shares: [null, [1], null, [1, 1]] };
      const byAttention = { attention: 1, age: 1, bonus: 0.6, cell: 2 };
      assertEquals(await run(rows, all), full);
      assertEquals(await run(rows, all, byAttention), full);
      const half: PlanColumns = { shares: [null, [0.5], null, [0.5, 0.5]] };
      assertNotEquals(await run(rows, half), full);
      const before = loaded.length;
      assertEquals(await run([FULL, FULL, FULL, FULL]), full); // its graphs take the place of the others
      if (weights === "initializers") assertEquals(loaded.length - before, 3); // MLPs
      await model.close();
    });
  });
}

for (const weights of ["int8", "int4"] as const) {
  Deno.test(`partial cells run weights in ${weights}, all tokens with the bits of the full run`, async () => {
    const model = new URL("../golden/dit-a/", import.meta.url);
    const engine = await openEngine({ backend: "wasm", model, weights });
    const run = async (row: string, share: number): Promise<Tensor> => {
      const columns: PlanColumns = { shares: [null, row.includes("p") ? [share] : null] };
      return (await follow(await runOf(engine.model, engine.executor, [FULL, row], columns)))
        .latents;
    };
    const full = await run(FULL, 1);
    assertEquals(await run(".p.p.p", 1), full);
    assertNotEquals(await run(".p.p.p", 0.5), full);
    await engine.close();
  });
}

for (const [weights, open] of BACKENDS) {
  Deno.test(`what tokens are attended to is computed where tokens are chosen by it alone, by ${open.name} with weights as ${weights}`, async () => {
    const rows = [FULL, "rrrp.p", "....r.", "rrr.rp"];
    const shares: PlanColumns["shares"] = [null, [0.5, 0.25], null, [0.5]];
    /** Modules whose graphs say it, of those that are loaded for a run. */
    const asked = async (
      rows: readonly string[],
      score?: TokenScore,
    ): Promise<readonly number[]> => {
      const found = new Set<number>();
      await withExecutor(open, weights, async (executor, loaded) => {
        const model = await openSmallModel();
        const columns = rows.some((row) => row.includes("p")) ? { shares } : undefined;
        await follow(await runOf(model, executor, rows, columns, score));
        const parts = loaded.flatMap((name) => name.split(" "));
        for (const part of parts) if (/^\d+\.s?a$/.test(part)) found.add(Number.parseInt(part));
        await model.close();
      });
      return [...found].toSorted((a, b) => a - b);
    };
    const byAttention = { attention: 1, age: 1, bonus: 0.6, cell: 2 };
    assertEquals(await asked(rows, byAttention), [2, 4]); // of the blocks with partial cells
    assertEquals(await asked(rows, { ...byAttention, attention: 0 }), []);
    assertEquals(await asked(rows), []); // by age
    assertEquals(await asked([FULL, "rrr.r.", FULL]), []);
  });
}

Deno.test("without tokens a partial cell has the bits of its reuse, beside an older feature too", async () => {
  await withExecutor(openWasm, "initializers", async (executor) => {
    const model = await openSmallModel();
    const run = async (rows: readonly string[], columns?: PlanColumns) =>
      (await follow(await runOf(model, executor, rows, columns))).latents;
    const few: PlanColumns = { shares: [null, [0.06], null] }; // of 16 tokens not one
    assertEquals(
      await run([FULL, ".p.p.p", ".r.r.r"], few),
      await run([FULL, ".r.r.r", ".r.r.r"]),
    );
    const weighed: PlanColumns = {
      shares: [null, null, [0.06], null],
      features: [null, null, null, [[0.5, 0.25]]],
    };
    // What it makes is its last feature again, so that both of the last two are the same.
    const same: PlanColumns = { features: [null, null, null, [[0.75]]] };
    assertEquals(
      await run([FULL, FULL, "...p..", "...x.."], weighed),
      await run([FULL, FULL, "...r..", "...x.."], same),
    );
    await model.close();
  });
});

Deno.test("a partial cell computes the tokens that it chose as a full run would, and keeps all others", async () => {
  await withExecutor(openWasm, "initializers", async (executor) => {
    const model = await openSmallModel();
    const name = "joint blocks.1.mlp";
    const kept = async (row: string, columns?: PlanColumns): Promise<Tensor> => {
      const run = await runOf(model, executor, [FULL, row, "rrrrrr"], columns);
      const loop = runSteps(run);
      await loop.next();
      await loop.next();
      const [value] = run.features.load(name, [[1, 16, 48]]);
      const tensor = await executor.backend.download(value!);
      await loop.return(undefined as never); // leaves early
      return tensor;
    };
    const [old, fresh] = [await kept("rrrrrr"), await kept("rrr.rr")];
    const half = await kept("rrrprr", { shares: [null, [0.5], null] });
    const rows = (tensor: Tensor, first: number, count: number): Tensor => ({
      dims: [count, 48],
      data: tensor.data.slice(48 * first, 48 * (first + count)),
    });
    // By age the first eight of 16; a product of fewer rows may add in another order.
    assertClose(rows(half, 0, 8), rows(fresh, 0, 8), { tolerance: 1e-6, what: "chosen tokens" });
    assertEquals(rows(half, 8, 8), rows(old, 8, 8));
    await model.close();
  });
});

Deno.test("partial cells are refused where tokens depend on each other, and on a GPU, by name", async () => {
  const model = await openSmallModel();
  const steps = (row: string): readonly Step[] =>
    compilePlan(examplePlan([FULL, row], { version: 2, columns: { shares: [null, [0.5]] } })).steps;
  const on = { name: "wasm" } as const;
  expectCells(steps(".p...."), model.transformer, on);
  assertThrows(
    () => expectCells(steps("..p..."), model.transformer, on),
    PlanError,
    'Cannot use plan: step 1, module blocks.1.attn must be without "p", for its tokens depend on each other',
  );
  const gpu = { name: "webgpu", gpu: {} } as unknown as Backend; // only whether there is one matters
  assertThrows(
    () => expectCells(steps(".p...."), model.transformer, gpu),
    PlanError,
    'step 1, module blocks.0.mlp must be without "p" on webgpu, where the host would have to choose',
  );
  await model.close();
  const engine = await openEngine({
    backend: "wasm",
    model: new URL("../golden/dit-a/", import.meta.url),
  });
  const plan = {
    ...examplePlan([FULL, "p....."], { version: 2, columns: { shares: [null, [0.5]] } }),
    fingerprints: [await engine.model.fingerprint()],
  };
  await assertRejects(() => engine.prepare({ plan }), PlanError, "module blocks.0.attn must be");
  await engine.close();
});

Deno.test("a partial cell's price is its share of the branch", () => {
  const cost = {
    ...{ embed: 1, head: 2 },
    modules: [{ branch: 100, merge: 10 }, { branch: 40, merge: 4 }],
  };
  const compiled = compilePlan(examplePlan(["..", "rp"], {
    version: 2,
    columns: { shares: [null, [0.25]] },
  }));
  assertEquals(predictSpeedup(compiled, cost), 2 * 157 / (157 + 1 + 10 + 4 + 10 + 2));
});

/** Labels and noise of the original's run. */
async function firstPictures(
  count: number,
): Promise<{ readonly labels: readonly number[]; readonly noise: Tensor }> {
  const source = openDirectory(new URL("../golden/dit-a/", import.meta.url));
  try {
    const file = await openSafetensors(source, "golden.safetensors");
    const labels = (await file.readIntegers("sample.label")).slice(0, count);
    const { dims: [n, ...rest], data } = await file.readFloat32("sample.noise");
    return {
      labels,
      noise: { dims: [count, ...rest], data: data.slice(0, data.length / n! * count) },
    };
  } finally {
    await source.close();
  }
}
