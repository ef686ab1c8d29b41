import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { openMemory } from "../../../src/assets/source.ts";
import { openTorchCheckpoint } from "../../../src/assets/formats/torch_checkpoint.ts";
import type { StoredWeights } from "../../../src/assets/weights.ts";
import { LEARNING_TO_CACHE } from "../../../src/calibrate/policies/learning_to_cache.ts";
import type { PolicyFile } from "../../../src/calibrate/policies/policy.ts";
import { importPolicy } from "../../../src/calibrate/policies/run_policy.ts";
import { PlanError } from "../../../src/errors.ts";
import { policyFile } from "./policy_file.ts";
import { exportCacheBook } from "../../../src/plan/cache_book/export.ts";
import { importCacheBook } from "../../../src/plan/cache_book/import.ts";
import { formatPlan } from "../../../src/plan/format.ts";
import { parsePlan } from "../../../src/plan/parse.ts";
import type { Plan } from "../../../src/plan/plan.ts";

const ROUTER = new URL("../../golden/policies/router-20.pt", import.meta.url);
/** The published routers, where they are at hand. */
const PUBLISHED = new URL("../../../../shared/reference/data/", import.meta.url);
/** What they compute at their reuse steps, attention and MLP: of 20 steps, and of 50. */
const OF_20 = "0,0 0,0 2,2 3,5 17,9 26,27 27,28 27,28 27,28 28,28";
const OF_50 = "0,0 0,1 0,0 0,0 2,1 0,1 1,1 2,4 3,4 3,5 5,6 18,8 18,11 21,15 26,28 26,28 " +
  "27,28 27,28 27,28 27,28 28,28 27,28 27,28 28,28 28,28";

function fileOf(bytes: Uint8Array): PolicyFile {
  const source = openMemory(new Map([["router.pt", bytes]]));
  return policyFile({ checkpoint: (part) => openTorchCheckpoint(source, "router.pt", { part }) });
}

function sampler(steps: number): Plan["sampler"] {
  return { name: "ddim", times: Array.from({ length: steps }, (_, t) => 50 * (steps - t) - 1) };
}

/** By reuse step: how many modules of attention and of the MLP are computed. */
function counts({ rows }: Plan): string {
  const texts = rows.map(([row]) => row!.text);
  assertEquals(texts.filter((text, step) => step % 2 === 0 && /[^.]/.test(text)), []);
  const run = (text: string, part: number): number =>
    [...text].filter((mark, m) => mark === "." && m % 2 === part).length;
  return texts.filter((_, step) => step % 2 === 1)
    .map((text) => `${run(text, 0)},${run(text, 1)}`).join(" ");
}

Deno.test("learning-to-cache reads a router's checkpoint: 312 of 560 modules at the reuse steps of 20", async () => {
  const file = fileOf(await Deno.readFile(ROUTER));
  const plan = await importPolicy("learning-to-cache", file, { sampler: sampler(20) });
  assertEquals(counts(plan), OF_20);
  assertEquals([plan.architecture, plan.modules.length, plan.modules[55]], [
    "dit",
    56,
    "blocks.27.mlp",
  ]);
  assertEquals(parsePlan(formatPlan(plan)), plan);
  assertEquals(plan.policy, { name: "learning-to-cache", parameters: { threshold: 0.1 } });
  const book = JSON.parse(JSON.stringify(exportCacheBook(plan)));
  assertEquals(importCacheBook(book, plan.sampler).rows, plan.rows);
});

for (const [steps, wanted, total] of [[20, OF_20, 312], [50, OF_50, 736]] as const) {
  const file = new URL(`l2c-dit-ddim${steps}-router.pt`, PUBLISHED);
  const ignore = !await Deno.stat(file).then(() => true, () => false);
  Deno.test({
    name:
      `learning-to-cache computes ${total} modules at the reuse steps of the published router of ${steps}`,
    ignore,
    fn: async () => {
      const about = { sampler: sampler(steps) };
      const plan = await importPolicy(
        "learning-to-cache",
        fileOf(await Deno.readFile(file)),
        about,
      );
      assertEquals(counts(plan), wanted);
      const sum = wanted.split(/[ ,]/).reduce((all, count) => all + Number(count), 0);
      assertEquals(sum, total);
    },
  });
}

/** A router that is not in a file. */
function weightsOf(routers: Readonly<Record<string, readonly number[]>>): PolicyFile {
  const weights: StoredWeights = {
    names: new Set(Object.keys(routers)),
    dims: (name) => routers[name] && [routers[name].length],
    dtype: () => "F32",
    read: (name) => Promise.resolve({ dims: [], data: Float32Array.from(routers[name]!) }),
    sample: () => Promise.reject(new Error()),
  };
  return policyFile({ checkpoint: () => Promise.resolve(weights) });
}

Deno.test("learning-to-cache reads routers of 50 steps, the last step's first: 736 of 1400 modules at their reuse steps", async () => {
  const wanted = OF_50.split(" ").map((pair) => pair.split(",").map(Number));
  /** Logits of a reuse step that computes so many attentions and MLPs of 28 blocks, the last ones. */
  const logits = ([attn = 0, mlp = 0]: readonly number[]): readonly number[] =>
    Array.from({ length: 28 }, (_, l) => [l >= 28 - attn ? 2 : -4, l >= 28 - mlp ? 2 : -4]).flat();
  const routers = Array.from({ length: 50 }, (_, router) => {
    const step = 49 - router;
    return [`${router}.prob`, step % 2 === 1 ? logits(wanted[(step - 1) / 2]!) : logits([9, 9])];
  });
  const file = weightsOf(Object.fromEntries(routers));
  const plan = await importPolicy("learning-to-cache", file, { sampler: sampler(50) });
  assertEquals(counts(plan), OF_50);
  const computed = plan.rows.filter((_, step) => step % 2 === 1)
    .flatMap(([row]) => [...row!.text]).filter((mark) => mark === ".").length;
  assertEquals([computed, 25 * plan.modules.length], [736, 1400]);
});

Deno.test("learning-to-cache reuses at the threshold and computes above it; only at odd steps", async () => {
  const logits = [Math.log(1 / 9), 0, -9, 9]; // shares .1, .5, 0 and 1
  const file = weightsOf({
    "0.prob": logits,
    "1.prob": logits,
    "2.prob": logits,
    "3.prob": logits,
  });
  const plan = (threshold: string) =>
    importPolicy(`learning-to-cache:threshold=${threshold}`, file, { sampler: sampler(4) });
  const texts = async (threshold: string) => (await plan(threshold)).rows.map(([row]) => row!.text);
  assertEquals(await texts("0.5"), ["....", "rrr.", "....", "rrr."]);
  assertEquals(await texts("0.09"), ["....", "..r.", "....", "..r."]);
  assertEquals(await texts("1"), ["....", "rrrr", "....", "rrrr"]);
});

Deno.test("learning-to-cache refuses routers of another number of steps, of unequal depth, or with NaN", async () => {
  const pair = [1, -1];
  const wrong: readonly (readonly [Readonly<Record<string, readonly number[]>>, number, string])[] =
    [
      [
        { "0.prob": pair, "1.prob": pair },
        4,
        "routers must be 4, one for each step: current value is 2",
      ],
      [{ "0.prob": pair }, 1, "steps must be even"],
      [
        { "0.prob": pair, "9.prob": pair },
        2,
        "router 1.prob must be a list of pairs: attention and MLP: current value is missing",
      ],
      [
        { "0.prob": [1, 1, 1, 1], "1.prob": pair },
        2,
        "router 0.prob must be 2 long, as the others: current value is [4]",
      ],
      [{ "0.prob": pair, "1.prob": [1, 1, 1] }, 2, "router 1.prob must be a list of pairs"],
      [
        { "0.prob": [NaN, 1], "1.prob": pair },
        2,
        "router 0.prob, module 0 must be a number: current value is NaN",
      ],
    ];
  for (const [routers, steps, message] of wrong) {
    const read = () =>
      LEARNING_TO_CACHE.read!(weightsOf(routers), { threshold: 0.1 }, { sampler: sampler(steps) });
    const error = await assertRejects(read, PlanError);
    assertStringIncludes(error.message, message);
  }
});
