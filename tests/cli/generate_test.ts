import { assert, assertEquals, assertGreaterOrEqual, assertStringIncludes } from "@std/assert";
import { openSafetensors } from "../../src/assets/formats/safetensors.ts";
import {
  encodeSafetensors,
  type WritableTensor,
} from "../../src/assets/formats/safetensors_writer.ts";
import { openDirectory } from "../../src/assets/source.ts";
import { readPngText } from "../../src/image/png_text.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { LOCK } from "../_shim/watched.ts";
import { FASHION_DIT, onFashionDit } from "../fashion_dit.ts";
import { capturedRun } from "./captured_run.ts";

const MAIN = new URL("../../src/cli/main.ts", import.meta.url);
const DIT_A = new URL("../golden/dit-a", import.meta.url).pathname;

Deno.test("generate writes a picture that says how it was made, and --from makes it again", async () => {
  await withFolder(async (folder) => {
    const one = `${folder}/one.png`;
    const asked = ["--label", "Sneaker,8", "--steps", "3", "--seed", "5", "--guidance", "1.5"];
    const first = await generate([...asked, "--plan", "none", "--out", one, "--json"]);
    assertEquals(first.code, 0, first.stderr);
    const report = JSON.parse(first.stdout);
    assertEquals([report.labels, report.seeds, report.files], [[7, 8], [5, 6], [one]]);
    assertEquals([report.steps, report.seed, report.guidance], [3, 5, 1.5]);
    assertStringIncludes(report.backend, "wasm");
    assert(report.peakMemoryMiB > 50 && report.msPerStep > 0);
    const record = JSON.parse(readPngText(await Deno.readFile(one))["invardiff"]!);
    assertEquals([record.labels, record.seed, record.steps], [[7, 8], 5, 3]);

    const again = await generate(["--from", one, "--out", `${folder}/two.png`]);
    assertEquals(again.code, 0, again.stderr);
    assertEquals(await Deno.readFile(`${folder}/two.png`), await Deno.readFile(one));
    assertStringIncludes(again.stdout, "peak memory");
    const wrote = `\nwrote ${folder}/two.png (2 pictures, 32 × 32, enlarged × 4)\n`;
    assert(again.stdout.endsWith(wrote), again.stdout);
    assertStringIncludes(again.stderr, "step 3/3");
  });
});

Deno.test("generate samples by another solver, and --from repeats it unless another is named", async () => {
  await withFolder(async (folder) => {
    const [one, two, three] = ["one", "two", "three"].map((name) => `${folder}/${name}.png`);
    const asked = ["--label", "Bag", "--steps", "4", "--sampler", "unipc:trailing", "--out", one!];
    const first = await generate(asked);
    assertEquals(first.code, 0, first.stderr);
    const record = JSON.parse(readPngText(await Deno.readFile(one!))["invardiff"]!);
    assertEquals([record.sampler, record.steps, record.plan], ["unipc:trailing", 4, undefined]);
    assertEquals((await generate(["--from", one!, "--out", two!])).code, 0);
    assertEquals(await Deno.readFile(two!), await Deno.readFile(one!));
    assertEquals((await generate(["--from", one!, "--sampler", "ddim", "--out", three!])).code, 0);
    const other = JSON.parse(readPngText(await Deno.readFile(three!))["invardiff"]!);
    assertEquals([other.sampler, other.steps], ["ddim", 4]);
    assert(`${await Deno.readFile(three!)}` !== `${await Deno.readFile(one!)}`);
  });
});

Deno.test("generate lets a policy decide at each step, says how many were reused, and --from repeats it", async () => {
  await withFolder(async (folder) => {
    const [one, two] = ["one", "two"].map((name) => `${folder}/${name}.png`);
    const policy = "teacache:threshold=1e9";
    const asked = ["--label", "Bag", "--steps", "5", "--policy", policy, "--out", one!];
    const first = await generate(asked);
    assertEquals(first.code, 0, first.stderr);
    assertStringIncludes(first.stdout, `none (${policy} decides at each step): 3 of 5 reused`);
    const record = JSON.parse(readPngText(await Deno.readFile(one!))["invardiff"]!);
    assertEquals([record.policy, record.steps, record.plan], [policy, 5, undefined]);
    const again = await generate(["--from", one!, "--out", two!, "--json"]);
    assertEquals(again.code, 0, again.stderr);
    assertEquals(JSON.parse(again.stdout).policy, { word: policy, reused: [3] });
    assertEquals(await Deno.readFile(two!), await Deno.readFile(one!));
    for (
      const [words, message] of [
        [["--policy", "magcache"], "policy must be one of first-block, teacache, sencache"],
        [
          ["--policy", "teacache", "--plan", "fashion-dit.3x"],
          "--policy must not be given with --plan",
        ],
      ] as const
    ) {
      const { code, stderr } = await generate([...words, "--out", two!]);
      assertEquals(code, 2, stderr);
      assertStringIncludes(stderr, message);
    }
  });
});

Deno.test("generate --policy takes the rule of a plan's file, which the picture names as numbers", async () => {
  await withFolder(async (folder) => {
    const [plan, one, two] = ["plan.json", "one.png", "two.png"].map((name) => `${folder}/${name}`);
    const common = ["--model", FASHION_DIT.pathname, "--steps", "6", "--backend", "wasm"];
    const policy = "sencache:threshold=9,start=9,longest=1";
    await capturedRun("calibrate", ...common, "--policy", policy, "--runs", "1", "--out", plan!);
    const first = await generate(["--label", "Bag", ...common, "--policy", plan!, "--out", one!]);
    assertEquals(first.code, 0, first.stderr);
    assertStringIncludes(first.stdout, "decides at each step): 3 of 6 reused");
    const record = JSON.parse(readPngText(await Deno.readFile(one!))["invardiff"]!);
    assertStringIncludes(record.policy, "sencache:longest=1,start=9,threshold=9,at.0=");
    const again = await generate(["--from", one!, "--backend", "wasm", "--out", two!]);
    assertEquals(again.code, 0, again.stderr);
    assertEquals(await Deno.readFile(two!), await Deno.readFile(one!));
    const wrong = await generate(["--policy", `${folder}/none.json`, "--out", two!]);
    assertEquals(wrong.code, 3, wrong.stderr);
    assertStringIncludes(wrong.stderr, "none.json");
  });
});

Deno.test("generate computes steps beside each other, says in how many rounds, and --from repeats it", async () => {
  await withFolder(async (folder) => {
    const [one, two] = ["one", "two"].map((name) => `${folder}/${name}.png`);
    const parallel = "srds:segments=2,threshold=0";
    const asked = ["--label", "Bag", "--steps", "4", "--parallel", parallel, "--out", one!];
    const first = await generate(asked);
    assertEquals(first.code, 0, first.stderr);
    const plan =
      `none (${parallel} computes steps beside each other): 2 rounds, 7 calls for 4 steps`;
    assertStringIncludes(first.stdout, plan);
    const record = JSON.parse(readPngText(await Deno.readFile(one!))["invardiff"]!);
    assertEquals([record.parallel, record.steps, record.plan], [parallel, 4, undefined]);
    const again = await generate(["--from", one!, "--out", two!, "--json"]);
    assertEquals(again.code, 0, again.stderr);
    const each = { rounds: 2, calls: 7, evaluations: 9 };
    assertEquals(JSON.parse(again.stdout).parallel, { word: parallel, pictures: [each] });
    assertEquals(await Deno.readFile(two!), await Deno.readFile(one!));
    const full = await generate(["--from", one!, "--plan", "none", "--out", two!, "--json"]);
    const { parallel: none, steps } = JSON.parse(full.stdout);
    assertEquals([none, steps], [undefined, 4]);
    const beside = "--parallel must not be given with";
    for (
      const [words, message] of [
        [["--parallel", "srds:segments=11"], "segments of srds must be a whole number in 0 … 10"],
        [["--parallel", "srds", "--plan", "fashion-dit.3x"], `${beside} --plan`],
        [["--parallel", "srds", "--policy", "first-block"], `${beside} --policy`],
      ] as const
    ) {
      const { code, stderr } = await generate([...words, "--out", two!]);
      assertEquals(code, 2, stderr);
      assertStringIncludes(stderr, message);
    }
  });
});

Deno.test("generate takes noise and labels from a file and writes latents to another", async () => {
  await withFolder(async (folder) => {
    const noise = normalNoise([2, 4, 8, 8], 1);
    const conditions = encodeSafetensors(
      new Map<string, WritableTensor>([
        ["noise", noise],
        ["label", { dtype: "I64", dims: [2], data: [3, 1] }],
      ]),
    );
    await Deno.writeFile(`${folder}/in.safetensors`, await new Blob([...conditions]).bytes());
    const common = ["--model", DIT_A, "--steps", "2", "--latents"];
    const given = [
      ...common,
      `${folder}/a.safetensors`,
      "--conditions",
      `${folder}/in.safetensors`,
    ];
    const { code, stdout, stderr } = await generate(given);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stdout, `wrote ${folder}/a.safetensors (latents 2 × 4 × 8 × 8)\n`);
    assertEquals((await latentsIn(folder, "a.safetensors")).dims, [2, 4, 8, 8]);
    const again = [...common, `${folder}/b.safetensors`, "--label", "3,1", "--count", "2"];
    const quiet = await generate([...again, "--quiet"]);
    assertEquals([quiet.stdout, quiet.stderr.replace(/^error: XDG.*\n/gm, "")], ["", ""]);
    const seeded = await latentsIn(folder, "b.safetensors"); // seed 0, other noise
    assert(`${seeded.data}` !== `${(await latentsIn(folder, "a.safetensors")).data}`);
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
      "a.safetensors",
      "b.safetensors",
      "in.safetensors",
    ]);
  });
});

Deno.test("generate refuses bad input in one line, with an exit code, and writes nothing", async () => {
  await withFolder(async (folder) => {
    const out = `${folder}/out.png`;
    await Deno.writeTextFile(`${folder}/text.png`, "no picture");
    await Deno.writeTextFile(`${folder}/short.safetensors`, "short");
    const cases: readonly (readonly [readonly string[], number, string])[] = [
      [["--label", "Foo"], 2, "label must be an index in 0 … 9 or one of 10 names such as "],
      [["--label", "sneeker"], 2, "or one of 10 names such as Sneaker, "],
      [["--label", "10"], 2, "current value is 10"],
      [["--steps", "0"], 2, "--steps must be a whole number in 1 … 1000: current value is 0"],
      [["--steps", "1001"], 2, "current value is 1001"],
      [["--steps", "1.5"], 2, "--steps must be a whole number in 1 … 1000: current value is 1.5"],
      [["--sampler", "unipcc"], 2, "sampler must be one of 10 names such as unipc"],
      [["--sampler", "unipc:kara"], 2, "spacing of unipc must be one of 7 names such as karras"],
      [["--sampler", "A b"], 2, "--sampler must be original, or the name of a solver"],
      [["--count", "0"], 2, "--count must be a whole number of at least 1: current value is 0"],
      [["--guidance", "-1"], 2, "guidance"],
      [["--threads", "0"], 2, "--threads must be a whole number in 1"],
      [
        ["--backend", "cuda"],
        2,
        "--backend must be auto, webgpu, native or wasm: current value is cuda",
      ],
      [["--frobnicate"], 2, "--frobnicate is none of its options; the nearest is --"],
      [["--out", `${folder}/out.jpg`], 2, "must be a file name that ends in .png"],
      [["--out", "/proc/none/out.png"], 3, "must be writable"],
      [["--model", `${folder}/none`], 3, "must exist"],
      [["--model", `${folder}/short.safetensors`], 3, "Cannot open short.safetensors"],
      [["--model", DIT_A], 2, "must have 1 or 3 channels, others need an autoencoder"],
      [["--from", `${folder}/text.png`], 3, "PNG"],
      [["--conditions", `${folder}/none.safetensors`], 3, "must exist"],
    ];
    for (const [args, code, message] of cases) {
      const result = await generate(["--out", out, ...args]);
      assertEquals(result.code, code, `${args}: ${result.stderr}`);
      assertStringIncludes(result.stderr, message);
      const lines = result.stderr.trim().split("\n").filter((line) => !line.includes("XDG"));
      assertEquals(lines.length, 1, result.stderr); // nothing was opened or announced before
    }
    const left = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assertEquals(left, ["short.safetensors", "text.png"]);
  });
});

Deno.test("generate that is interrupted exits with 130 and leaves no file", async () => {
  await withFolder(async (folder) => {
    const child = command(["--steps", "1000", "--out", `${folder}/out.png`]).spawn();
    const errors = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("on wasm")) text += (await errors.read()).value ?? fail(text);
    child.kill("SIGINT");
    const [{ code }] = await Promise.all([child.status, drain(errors), child.stdout.cancel()]);
    assertEquals(code, 130);
    assertEquals([...Deno.readDirSync(folder)], []);
  });
});

Deno.test("generate without permission to read says which permission it wants", async () => {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", LOCK, "--no-prompt", "--allow-env", MAIN.pathname, "generate", "--model", "/tmp"],
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stderr);
  assertGreaterOrEqual(code, 1);
  assertStringIncludes(text, "error: ");
  assertStringIncludes(text, "--allow-");
});

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function generate(args: readonly string[]): Promise<Outcome> {
  const { code, stdout, stderr } = await command(args).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

function command(args: readonly string[]): Deno.Command {
  const allowed = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys"];
  const backend = args.includes("--backend") ? [] : ["--backend", "wasm"];
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      LOCK,
      "--no-prompt",
      ...allowed,
      MAIN.pathname,
      "generate",
      ...backend,
      ...onFashionDit(args),
    ],
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  });
}

async function latentsIn(folder: string, file: string): Promise<Tensor> {
  const source = openDirectory(folder);
  try {
    return await (await openSafetensors(source, file)).readFloat32("latents");
  } finally {
    await source.close();
  }
}

async function drain(reader: ReadableStreamDefaultReader<string>): Promise<void> {
  while (!(await reader.read()).done);
}

function fail(text: string): never {
  throw new Error(`The run ended before it began: ${text}`);
}

async function withFolder(fn: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await fn(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
