import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { CALIBRATE } from "../../src/cli/calibrate_options.ts";
import { parseOptions } from "../../src/cli/options.ts";
import { planDigest } from "../../src/plan/digest.ts";
import { formatPlan } from "../../src/plan/format.ts";
import { parsePlan } from "../../src/plan/parse.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { file } from "../assets/files.ts";
import { LOCK } from "../_shim/watched.ts";

const MAIN = new URL("../../src/cli/main.ts", import.meta.url).pathname;
const DIT_A = new URL("../golden/dit-a/", import.meta.url).pathname;
const COMMON = ["--model", DIT_A, "--backend", "wasm", "--steps", "6"];

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function calibrate(...args: readonly string[]): Promise<Outcome> {
  const { code, stdout, stderr } = await command(args).output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

function command(args: readonly string[]): Deno.Command {
  const allowed = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys", "--no-check"];
  return new Deno.Command(Deno.execPath(), {
    args: ["run", LOCK, ...allowed, MAIN, "calibrate", ...args],
    stdout: "piped",
    stderr: "piped",
  });
}

async function inDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await use(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function namesIn(directory: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name);
}

for (const mode of ["guided", "reference"]) {
  Deno.test(`calibrate --mode ${mode} writes a canonical plan and says what it does`, async () => {
    await inDirectory(async (directory) => {
      const path = `${directory}/plan.json`;
      const { code, out, err } = await calibrate(
        ...[...COMMON, "--out", path, "--mode", mode, "--runs", "2", "--seed", "9"],
        ...["--quantile", "step=.5,attn=0.25,mlp=0", "--warmup", "0.2"],
      );
      assertEquals(code, 0, err);
      const text = await Deno.readTextFile(path);
      const plan = parsePlan(text);
      assertEquals(formatPlan(plan), text);
      assertEquals(plan.calibration?.mode, mode);
      assertEquals(plan.calibration?.seeds, [9, 10]);
      assertEquals(plan.policy.parameters["level.step"], 0.5);
      assertEquals(plan.policy.parameters["warmup"], 0.2);
      assertStringIncludes(err, mode === "guided" ? "step 12/12" : "step 24/24");
      const wrote = `wrote ${path} (a plan of 6 steps)\n`;
      for (const words of ["× predicted", "staleness  at most", "full", wrote]) {
        assertStringIncludes(out, words);
      }
    });
  });
}

Deno.test("calibrate --target-speedup prints the trade-off and keeps what was measured", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/plan.json`;
    const { code, out, err } = await calibrate(
      ...[
        ...COMMON,
        "--out",
        path,
        "--runs",
        "2",
        "--target-speedup",
        "1.5",
        "--time-budget",
        "60",
      ],
    );
    assertEquals(code, 0, err);
    assertStringIncludes(out, "trade-off on held-back conditions");
    const { measured } = parsePlan(await Deno.readTextFile(path));
    assert(measured!.values["predictedSpeedup"]! >= 1.5);
    assert(measured!.values["psnrDb"]! > 10);
    assertStringIncludes(measured!.command, "--target-speedup 1.5");
  });
});

Deno.test("calibrate --policy writes the plan of a method of the field, with its settings and what it recorded", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/plan.json`;
    const { code, out, err } = await calibrate(
      ...[...COMMON, "--out", path, "--policy", "magcache:threshold=0.5,warmup=0.2", "--runs", "2"],
    );
    assertEquals(code, 0, err);
    const plan = parsePlan(await Deno.readTextFile(path));
    assertEquals([plan.policy.name, plan.policy.parameters["threshold"]], ["magcache", 0.5]);
    assertEquals(plan.calibration?.thresholds["ratio.0"], 1);
    assertStringIncludes(out, `wrote ${path} (a plan of 6 steps)`);
  });
});

Deno.test("calibrate refuses a policy that it does not know before it opens a model, and options of modes beside it", async () => {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [["--policy", "magcash"], "policy must be one of"],
    [
      ["--policy", "magcache:longest=x"],
      "longest of magcache must be a whole number of at least 0",
    ],
    [["--policy", "magcache", "--mode", "guided"], "--mode must not be given with --policy"],
    [
      ["--policy", "magcache", "--trials", "3"],
      "--trials must not be given except in mode search or fit",
    ],
  ];
  for (const [words, message] of cases) {
    const { code, err } = await calibrate("--model", "nowhere", "--out", "p.json", ...words);
    assertEquals(code, 2, err);
    assertStringIncludes(err, message);
  }
});

Deno.test("calibrate --mode search writes a plan that is fast enough", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/plan.json`;
    const { code, err } = await calibrate(
      ...[...COMMON, "--out", path, "--runs", "2", "--mode", "search"],
      ...["--target-speedup", "1.5", "--trials", "3"],
    );
    assertEquals(code, 0, err);
    assertEquals(parsePlan(await Deno.readTextFile(path)).calibration?.mode, "search");
  });
});

Deno.test("calibrate --conditions records the noise and labels of a file, and names it", async () => {
  await inDirectory(async (directory) => {
    const conditions = `${directory}/given.safetensors`;
    await Deno.writeFile(conditions, conditionsFile([5, 1]));
    const path = `${directory}/plan.json`;
    const { code, err } = await calibrate(
      ...COMMON,
      ...["--out", path, "--conditions", conditions],
    );
    assertEquals(code, 0, err);
    const plan = parsePlan(await Deno.readTextFile(path));
    assertEquals(plan.calibration?.conditions, [5, 1]);
    assertEquals(plan.calibration?.seeds, []);
    assertEquals(plan.policy.parameters["conditions"], "given.safetensors");
  });
});

Deno.test("calibrate that is interrupted leaves no file", async () => {
  await inDirectory(async (directory) => {
    const args = [...COMMON, "--steps", "200", "--runs", "4", "--out", `${directory}/plan.json`];
    const child = command(args).spawn();
    const reader = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
    let said = "";
    while (!said.includes("step ")) said += (await reader.read()).value ?? "step ";
    child.kill("SIGINT");
    for (let next = await reader.read(); !next.done; next = await reader.read()) said += next.value;
    await child.stdout.cancel();
    assertEquals((await child.status).code, 130);
    assertStringIncludes(said, "Interrupted: nothing was written");
    assertEquals(await namesIn(directory), []);
  });
});

Deno.test("calibrate refuses a level of an unknown kind before it records", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/plan.json`;
    const { code, err } = await calibrate(...COMMON, "--out", path, "--quantile", "ff=.2");
    assertEquals(code, 2);
    assertStringIncludes(err, "levels must be of step, attn, mlp: current value is of ff");
    assertEquals(await namesIn(directory), []);
  });
});

Deno.test("calibrate takes the levels of its mode on the kinds of the model; --json reports them", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/plan.json`;
    const { code, out, err } = await calibrate(
      ...[...COMMON, "--out", path, "--mode", "reference", "--runs", "1", "--json", "--quiet"],
    );
    assertEquals(code, 0, err);
    assert(!err.includes("step "), err);
    const { plan, files, seeds, seconds, model } = JSON.parse(out);
    const levels = ["step", "attn", "mlp"].map((kind) => plan.policy.parameters[`level.${kind}`]);
    assertEquals(levels, [0.61, 0.2, 0.2]);
    assertEquals([plan.name, plan.steps, files, seeds, model], [path, 6, [path], [42], "dit-a"]);
    assertEquals(plan.digest, planDigest(parsePlan(await Deno.readTextFile(path))));
    assert(seconds > 0);
  });
});

/** A file of noise for dit-a and labels. */
function conditionsFile(labels: readonly number[]): Uint8Array {
  return file({
    noise: normalNoise([labels.length, 4, 8, 8], 1),
    label: { dtype: "I64", dims: [labels.length], data: labels },
  });
}

const refused: readonly (readonly [string, string])[] = [
  ["", "--out must be given"],
  ["--mode fast", "--mode must be guided, search, fit or reference: current value is fast"],
  ["--quantile step", "--quantile must be KIND=LEVEL with levels in 0 … 1, with commas between"],
  ["--quantile step=1.5", "--quantile must be KIND=LEVEL"],
  ["--mode search", "--target-speedup must be given in mode search"],
  [
    "--mode reference --target-speedup 2",
    "--target-speedup must not be given except in mode guided or search or fit",
  ],
  ["--target-speedup 1", "--target-speedup must be a number above 1"],
  ["--target-speedup 2 --quantile step=.5", "--quantile must not be given with --target-speedup"],
  ["--conditions f --seed 1", "--seed must not be given with --conditions"],
  ["--mode reference --longest 2", "--longest must not be given except in mode guided"],
  ["--time-budget 9", "--time-budget must not be given without --target-speedup"],
  ["--trials 9", "--trials must not be given except in mode search or fit"],
  ["--mode fit", "--target-speedup must be given in mode fit without --target-psnr"],
  ["--target-psnr 40", "--target-psnr must not be given except in mode fit"],
  [
    "--mode fit --target-psnr 40 --target-speedup 2",
    "--target-psnr must not be given with --target-speedup",
  ],
  ["--runs 0", "--runs must be a whole number of at least 1"],
];

for (const [words, message] of refused) {
  Deno.test(`calibrate refuses "${words}"`, () => {
    const args = words === "" ? [] : ["--out", "plan.json", ...words.split(" ")];
    assertThrows(() => parseOptions(CALIBRATE, args), TypeError, message);
  });
}
