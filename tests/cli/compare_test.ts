import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { decode } from "fast-png";
import {
  encodeSafetensors,
  type WritableTensor,
} from "../../src/assets/formats/safetensors_writer.ts";
import { uniformPlan } from "../../scripts/bench/uniform_plan.ts";
import { openModel } from "../../src/model/open_model.ts";
import { planDigest } from "../../src/plan/digest.ts";
import { formatPlan } from "../../src/plan/format.ts";
import { parsePlan } from "../../src/plan/parse.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { capturedRun, namesIn, withFolder } from "./captured_run.ts";
import { FASHION_DIT, onFashionDit } from "../fashion_dit.ts";

const DIT_A = new URL("../golden/dit-a/", import.meta.url);

Deno.test("compare measures a plan and writes sheet, numbers and the plan with the numbers", async () => {
  await withFolder(async (folder) => {
    const plan = await writeUniform(folder, FASHION_DIT);
    const [sheet, record] = ["s.png", "r.json"].map((n) => `${folder}/${n}`);
    const asked = ["--plan", plan, "--count", "2", "--seed", "7", "--rounds", "1"];
    const files = ["--out", sheet!, "--record", record!];
    const { code, stdout, stderr } = await compare(...asked, ...files);
    assertEquals(code, 0, stderr);
    const wrote = `wrote ${sheet} (2 pictures: in full, with the plan, difference × 4)\n`;
    assert(stdout.endsWith(`${wrote}wrote ${record} (the plan with these numbers)\n`), stdout);
    assertMatch(
      stdout,
      /^loop +[\d.]+ s +[\d.]+ s +[\d.]+ ×; predicted [\d.]+ ×, of which \d+ %$/m,
    );
    assertMatch(stdout, /^PSNR +[\d.]+ dB on average, [\d.]+ dB at least$/m);

    const { stdout: json } = await compare(...asked, "--json");
    const report = JSON.parse(json);
    assertEquals([report.labels, report.seeds], [[0, 1], [7, 8]]);
    assertEquals([report.steps, report.guidance, report.rounds, report.batch], [3, 2, 1, 2]);
    assertEquals(report.peakFeatureBytes.measured, report.peakFeatureBytes.predicted);
    assertEquals([report.psnrDb.length, report.ssim.length], [2, 2]);
    assertEquals(report.latents, undefined);

    const { width, height } = decode(await Deno.readFile(sheet!));
    assertEquals([width, height], [3 * 132 - 4, 2 * 132 - 4]); // a triple a line

    const before = parsePlan(await Deno.readTextFile(plan));
    const { measured, ...after } = parsePlan(await Deno.readTextFile(record!));
    assertEquals(after, before);
    assertEquals(report.plan, { name: plan, digest: planDigest(before) });
    assertEquals(measured?.values["psnrDb"], Number(report.meanPsnrDb.toFixed(4)));
    assertEquals(
      measured?.command,
      ["deno task compare", ...onFashionDit(asked), "--backend wasm"].join(" "),
    );
    assertStringIncludes(measured!.machine, "wasm");
  });
});

Deno.test("compare takes conditions from a file, all or the first ones", async () => {
  await withFolder(async (folder) => {
    const tensors = new Map<string, WritableTensor>([
      ["noise", normalNoise([3, 4, 8, 8], 1)],
      ["label", { dtype: "I64", dims: [3], data: [6, 0, 2] }],
    ]);
    const file = `${folder}/in.safetensors`;
    await Deno.writeFile(file, await new Blob([...encodeSafetensors(tensors)]).bytes());
    const plan = await writeUniform(folder, DIT_A);
    const asked = [
      "--model",
      DIT_A.pathname,
      "--plan",
      plan,
      "--conditions",
      file,
      "--rounds",
      "1",
    ];
    for (const [more, labels] of [[[], [6, 0, 2]], [["--count", "2"], [6, 0]]] as const) {
      const { code, stdout, stderr } = await compare(...asked, "--json", ...more);
      assertEquals(code, 0, stderr);
      const report = JSON.parse(stdout);
      assertEquals([report.labels, report.seeds], [labels, []]);
    }
  });
});

Deno.test("compare refuses bad input in one line and writes nothing", async () => {
  await withFolder(async (folder) => {
    const plan = await writeUniform(folder, DIT_A);
    const model = ["--model", DIT_A.pathname];
    const cases: readonly (readonly [readonly string[], number, string])[] = [
      [
        ["--plan", "none"],
        2,
        "--plan must be auto, or a plan's name or file: current value is none",
      ],
      [["--plan", plan], 5, "count of modules must be 6: current value is 24"],
      [[...model], 5, "--plan must be given: no bundled plan fits dit-a, ddim, 50 steps"],
      [[...model, "--plan", plan, "--out", `${folder}/s.png`], 2, "others need an autoencoder"],
      [["--rounds", "0"], 2, "--rounds must be a whole number of at least 1"],
      [["--count", "0"], 2, "--count must be a whole number of at least 1"],
      [["--out", "sheet.jpg"], 2, "--out must be a file name that ends in .png"],
      [["--conditions", `${folder}/none.safetensors`], 3, "must exist"],
      [["--record", "/proc/none/n.json"], 3, "must be writable"],
      [["--json", "n.json"], 2, "--json must be without a value: current value is n.json"],
    ];
    for (const [words, code, message] of cases) {
      const result = await compare(...words);
      assertEquals(result.code, code, result.stderr);
      assertStringIncludes(result.stderr, message);
      assert(!result.stderr.includes("stopped after step 1"), result.stderr);
      assertEquals(result.stdout, "");
    }
    assertEquals(namesIn(folder), ["plan.json"]);
  });
});

async function compare(...words: readonly string[]): ReturnType<typeof capturedRun> {
  return await capturedRun("compare", ...onFashionDit(words), "--backend", "wasm");
}

async function writeUniform(folder: string, location: URL): Promise<string> {
  const model = await openModel(location);
  const plan = await uniformPlan(model, { steps: 3, every: 2 });
  await model.close();
  await Deno.writeTextFile(`${folder}/plan.json`, formatPlan(plan));
  return `${folder}/plan.json`;
}
