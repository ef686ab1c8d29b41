import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { uniformPlan } from "../../scripts/bench/uniform_plan.ts";
import { loadPlan } from "../../src/engine/bundled_plans.ts";
import { readPngText } from "../../src/image/png_text.ts";
import { openModel } from "../../src/model/open_model.ts";
import { planDigest } from "../../src/plan/digest.ts";
import { formatPlan } from "../../src/plan/format.ts";
import { capturedRun, namesIn, withFolder } from "./captured_run.ts";
import { FASHION_DIT, onFashionDit } from "../fashion_dit.ts";

const DIT_A = new URL("../golden/dit-a", import.meta.url);
const ONE = ["--backend", "wasm", "--count", "1"];

Deno.test("generate takes the bundled plan that fits and says which", async () => {
  await withFolder(async (folder) => {
    const out = `${folder}/out.png`;
    const { code, stdout, stderr } = await generate("--out", out);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, "plan fashion-dit.4x: the bundled plan that fits");
    assertStringIncludes(stdout, "plan         fashion-dit.4x (the bundled plan that fits)");
    const { plan } = await recordIn(out);
    const digest = planDigest(loadPlan("fashion-dit.4x"));
    assertEquals(plan, { name: "fashion-dit.4x", digest });
  });
});

Deno.test("generate runs in full, with a notice, where no bundled plan fits the steps", async () => {
  await withFolder(async (folder) => {
    const out = `${folder}/out.png`;
    const { code, stdout, stderr } = await generate("--steps", "2", "--out", out);
    assertEquals(code, 0, stderr);
    assertStringIncludes(
      stderr,
      "plan none: no bundled plan fits fashion-dit, ddim, 2 steps",
    );
    assertStringIncludes(stdout, "plan         none (no bundled plan fits");
    assertEquals((await recordIn(out)).plan, undefined);
  });
});

Deno.test("generate takes steps from the plan that it is given, and reports what ran", async () => {
  await withFolder(async (folder) => {
    const plan = await writeUniform(folder, { steps: 5, every: 2 });
    const words = ["--plan", plan, "--model", DIT_A.pathname, "--guidance", "3", "--json"];
    const { code, stdout, stderr } = await generate(
      ...words,
      "--latents",
      `${folder}/l.safetensors`,
    );
    assertEquals([code, stderr.includes("plan")], [0, false], stderr);
    const report = JSON.parse(stdout);
    assertEquals(report.steps, 5);
    assertEquals(report.plan.name, plan);
    assertEquals(report.plan.steps, { full: 3, mixed: 0, reuse: 2, forecast: 0 });
    assert(report.plan.predictedSpeedup > 1.5);
    assert(report.plan.peakFeatureBytes > 0);
    assertEquals(report.notices, ["The plan was made for guidance 4; this run has 3."]);
  });
});

Deno.test("generate by a plan without reuse writes the latents of no plan, byte for byte", async () => {
  await withFolder(async (folder) => {
    const plan = await writeUniform(folder, { steps: 4, every: 1 });
    const files = ["a", "b"].map((name) => `${folder}/${name}.safetensors`);
    const model = ["--model", DIT_A.pathname];
    await generate(...model, "--plan", plan, "--latents", files[0]!);
    await generate(...model, "--plan", "none", "--steps", "4", "--latents", files[1]!);
    assertEquals(await Deno.readFile(files[0]!), await Deno.readFile(files[1]!));
  });
});

Deno.test("generate --from repeats the plan of a picture and refuses another in its place", async () => {
  await withFolder(async (folder) => {
    const [one, two] = [`${folder}/one.png`, `${folder}/two.png`];
    const plan = await writeUniform(folder, { steps: 3, every: 3, location: FASHION_DIT });
    const made = await generate("--plan", plan, "--seed", "9", "--out", one);
    assertEquals(made.code, 0, made.stderr);
    const from = onFashionDit(["generate", "--backend", "wasm", "--from", one, "--out", two]);
    const repeated = await capturedRun(...from);
    assertEquals(repeated.code, 0, repeated.stderr);
    assertStringIncludes(repeated.stdout, "1 full, 0 mixed, 2 reused steps");
    assertEquals(await Deno.readFile(two), await Deno.readFile(one));

    const full = await capturedRun(...from, "--plan", "none"); // other options change it
    assertEquals(full.code, 0, full.stderr);
    assertStringIncludes(full.stdout, "1 picture of fashion-dit, 3 steps");
    assertEquals((await recordIn(two)).plan, undefined);
    const again = await capturedRun(
      ...onFashionDit(["generate", "--backend", "wasm", "--from", two]),
      ...["--out", `${folder}/three.png`],
    );
    assertStringIncludes(again.stderr, "plan none: asked for"); // what ran in full is repeated in full

    await writeUniform(folder, { steps: 3, every: 2, location: FASHION_DIT });
    const changed = await capturedRun(...from);
    assertEquals(changed.code, 5);
    assertStringIncludes(changed.stderr, "must have digest sha256:");
    await Deno.remove(plan);
    const gone = await capturedRun(...from);
    assertEquals(gone.code, 3);
    assertStringIncludes(gone.stderr, `Cannot read ${plan}`);
  });
});

Deno.test("generate --from with another plan takes that plan's steps", async () => {
  await withFolder(async (folder) => {
    const out = `${folder}/out.png`;
    await generate("--steps", "2", "--out", out);
    const plan = await writeUniform(folder, { steps: 3, every: 2, location: FASHION_DIT });
    const { code, stdout } = await generate("--from", out, "--plan", plan, "--out", out);
    assertEquals(code, 0);
    assertStringIncludes(stdout, "1 picture of fashion-dit, 3 steps");
  });
});

Deno.test("generate refuses plans that do not fit, before any work, and writes nothing", async () => {
  await withFolder(async (folder) => {
    const out = ["--out", `${folder}/out.png`];
    const foreign = await writeUniform(folder, { steps: 3, every: 2 });
    const bad = `${folder}/bad.json`;
    await Deno.writeTextFile(bad, "{");
    const cases: readonly (readonly [readonly string[], number, string])[] = [
      [["--plan", "fashion-dit.ddim25.fast", "--steps", "50"], 5, "steps must be 25: current"],
      [["--plan", "fashion-dit.3x", "--steps", "50"], 5, "steps must be 16, for it has times of"],
      [["--plan", foreign], 5, "count of modules must be 6: current value is 24"],
      [["--plan", bad], 5, "its text must be JSON"],
      [["--plan", "fast"], 3, "it must be a file or one of 9 names such as fashion-dit.2x"],
      [["--plan", ""], 2, "--plan"],
    ];
    for (const [words, code, message] of cases) {
      const result = await generate(...words, ...out);
      assertEquals(result.code, code, result.stderr);
      assertStringIncludes(result.stderr, message);
      assertEquals(result.stderr.split("\n").length, 2, result.stderr); // one line, no progress
    }
    assertEquals(namesIn(folder), ["bad.json", "plan.json"]);
  });
});

async function generate(...words: readonly string[]): ReturnType<typeof capturedRun> {
  return await capturedRun("generate", ...ONE, ...onFashionDit(words));
}

// deno-lint-ignore no-explicit-any -- parsed JSON
async function recordIn(path: string): Promise<any> {
  return JSON.parse(readPngText(await Deno.readFile(path))["invardiff"]!);
}

/** Writes `plan.json`, for dit-a unless another model is named, and returns its path. */
async function writeUniform(
  folder: string,
  { steps, every, location = DIT_A }: {
    readonly steps: number;
    readonly every: number;
    readonly location?: URL;
  },
): Promise<string> {
  const model = await openModel(location);
  const plan = await uniformPlan(model, { steps, every });
  await model.close();
  await Deno.writeTextFile(`${folder}/plan.json`, formatPlan(plan));
  return `${folder}/plan.json`;
}
