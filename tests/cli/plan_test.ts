import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { bundledPlans, loadPlan } from "../../src/engine/bundled_plans.ts";
import { formatPlan } from "../../src/plan/format.ts";
import { parsePlan } from "../../src/plan/parse.ts";
import { STATE_ROWS } from "../../src/plan/row.ts";
import { capturedRun, namesIn, withFolder } from "./captured_run.ts";
import { onFashionDit } from "../fashion_dit.ts";

const DIT_A = new URL("../golden/dit-a", import.meta.url).pathname;
const NAME = "fashion-dit.ddim50.fast";

function bookOf(name: string): string {
  return new URL(`../golden/books/${name}/cache_books.json`, import.meta.url).pathname;
}

Deno.test("plan show draws a bundled plan and tells its facts", async () => {
  const { code, stdout, stderr } = await capturedRun("plan", "show", NAME);
  assertEquals([code, stderr], [0, ""]);
  assertStringIncludes(stdout, "dit, 24 modules, ddim, 50 steps\n");
  assertStringIncludes(stdout, "blocks.11.mlp █");
  assertMatch(stdout, /^digest +sha256:[0-9a-f]{64}$/m);
  assertMatch(stdout, /^steps +50: \d+ full, \d+ mixed, \d+ reused$/m);
  assertMatch(stdout, /^staleness +at most \d+ steps$/m);
  assertMatch(stdout, /^kept +at most \d+ results at once$/m);
});

Deno.test("plan show --model tells speed-up and bytes of that model, --svg draws", async () => {
  await withFolder(async (folder) => {
    const [plan, svg] = [`${folder}/plan.json`, `${folder}/plan.svg`];
    const book = bookOf("dit-a-layers");
    await capturedRun("plan", "import", book, "--steps", "20", "--out", plan);
    const { code, stdout } = await capturedRun(
      ...["plan", "show", plan, "--model", DIT_A, "--svg", svg],
    );
    assertEquals(code, 0);
    assertMatch(stdout, /^speed-up +\d\.\d\d × predicted for dit-a$/m);
    assertMatch(stdout, /^kept +at most \d+ results at once, \d+ bytes for each picture$/m);
    assertStringIncludes(await Deno.readTextFile(svg), "<svg");
  });
});

Deno.test("plan list names the bundled plans, in words or as JSON", async () => {
  const { code, stdout } = await capturedRun("plan", "list");
  assertEquals(code, 0);
  assertMatch(
    stdout,
    /^fashion-dit\.3x +16 steps of ddim, 3\.13 × predicted, [\d.]+ dB to the converged solution$/m,
  );
  const { plans } = JSON.parse((await capturedRun("plan", "list", "--json")).stdout);
  assertEquals(plans.map(({ name }: { name: string }) => name), bundledPlans);
});

Deno.test("plan check says that a plan fits, and in what it differs from its circumstances", async () => {
  await withFolder(async (folder) => {
    const { code, stdout } = await capturedRun(...onFashionDit(["plan", "check", NAME]));
    assertEquals([code, stdout], [0, `${NAME} fits fashion-dit\n`]);
    const other = `${folder}/other.json`;
    const plan = loadPlan(NAME);
    await Deno.writeTextFile(other, formatPlan({ ...plan, context: { guidance: 7 } }));
    const noticed = await capturedRun(...onFashionDit(["plan", "check", other]));
    assertEquals(noticed.code, 0);
    assertStringIncludes(noticed.stdout, "The plan was made for guidance 7; this run has 2.");
    const { stdout: json } = await capturedRun(...onFashionDit(["plan", "check", other]), "--json");
    assertEquals(JSON.parse(json), {
      plan: other,
      model: "fashion-dit",
      fits: true,
      notices: ["The plan was made for guidance 7; this run has 2."],
    });
  });
});

Deno.test("plan import leaves a plan unbound without a model; plan bind binds it", async () => {
  await withFolder(async (folder) => {
    const [free, bound, again] = ["free", "bound", "again"].map((name) => `${folder}/${name}.json`);
    const from = ["plan", "import", bookOf("dit-a-published"), "--steps", "20"];
    const imported = await capturedRun(...from, "--out", free!);
    assertEquals(imported.code, 0, imported.stderr);
    assertEquals((await planIn(free!)).fingerprints, []);
    assertStringIncludes((await capturedRun("plan", "show", free!)).stdout, "unbound");
    const unbound = await capturedRun("plan", "check", free!, "--model", DIT_A);
    assertEquals(unbound.code, 5);
    assertStringIncludes(unbound.stderr, 'must be bound to a model with "plan bind"');

    assertEquals(
      (await capturedRun("plan", "bind", free!, "--model", DIT_A, "--out", bound!)).code,
      0,
    );
    assertEquals((await capturedRun("plan", "check", bound!, "--model", DIT_A)).code, 0);
    await capturedRun(...from, "--model", DIT_A, "--out", again!);
    assertEquals(await Deno.readTextFile(again!), await Deno.readTextFile(bound!));
    assertEquals(namesIn(folder), ["again.json", "bound.json", "free.json"]);
  });
});

Deno.test("plan export of an imported book is the book again", async () => {
  await withFolder(async (folder) => {
    const cases = [
      ["fashion-dit-fast", ["--steps", "50"]],
      ["dit-a-layers", ["--sampler", "ddim", "--steps", "20"]],
      ["flux-a-published", ["--sampler", "euler", "--times", times(28)]],
    ] as const;
    for (const [name, options] of cases) {
      const [plan, book] = [`${folder}/plan.json`, `${folder}/book.json`];
      const imported = await capturedRun("plan", "import", bookOf(name), ...options, "--out", plan);
      assertEquals(imported.code, 0, imported.stderr);
      assertEquals((await capturedRun("plan", "export", plan, "--out", book)).code, 0);
      assertEquals(
        JSON.parse(await Deno.readTextFile(book)),
        JSON.parse(await Deno.readTextFile(bookOf(name))),
      );
    }
  });
});

Deno.test("plan refuses bad plans in one line with exit code 5, or 3 where the file is to blame", async () => {
  await withFolder(async (folder) => {
    const good = formatPlan(loadPlan(NAME));
    const file = `${folder}/bad.json`;
    const changed = (change: Record<string, unknown>): string =>
      JSON.stringify({ ...JSON.parse(good), ...change });
    const row = (text: string): string => changed({ rows: JSON.parse(good).rows.with(3, text) });
    const cases: readonly (readonly [string, number, string])[] = [
      ["", 5, "its text must be JSON"],
      ["{ plan", 5, "its text must be JSON"],
      [good.slice(0, 900), 5, "its text must be JSON"],
      ["[]", 5, "file must be of type object"],
      [" ".repeat(4_000_001), 3, "its size must be at most 4000000 bytes"],
      ["\xff".repeat(9), 5, "its text must be JSON"],
      [changed({ version: 3 }), 5, "version must be 1 or 2: current value is 3"],
      [changed({ columns: {} }), 5, "columns must be absent in version 1"],
      [changed({ extra: 1 }), 5, 'must be without unknown keys: current value is ["extra"]'],
      [row("..."), 5, "step 3 (slot joint) must be"],
      [row("?".padEnd(24, ".")), 5, 'step 3 (slot joint), module blocks.0.attn must be "." or "r"'],
      [
        row("~"),
        5,
        "step 3 must be without forecasts, partial cells and what is left out in version 1",
      ],
      [row("p".padStart(24, ".")), 5, "step 3 must be without forecasts, partial cells"],
      [changed({ rows: JSON.parse(good).rows.with(0, "=") }), 5, "step 0 (slot joint)"],
      [changed({ rows: [] }), 5, "rows must be at least 1 long"],
      [changed({ rows: JSON.parse(good).rows.slice(1) }), 5, "rows must be 50"],
      [changed({ fingerprints: [`sha256:${"0".repeat(64)}`] }), 5, "fingerprint must be sha256:00"],
      [changed({ fingerprints: [] }), 5, "unbound"],
      [changed({ architecture: "flux" }), 5, "architecture must be flux: current value is dit"],
      [changed({ sampler: { ...JSON.parse(good).sampler, name: "euler" } }), 5, "sampler must be"],
    ];
    for (const [text, code, message] of cases) {
      await Deno.writeTextFile(file, text);
      const result = await capturedRun(...onFashionDit(["plan", "check", file]));
      assertEquals([result.code, result.stdout], [code, ""], text.slice(0, 200));
      assertStringIncludes(result.stderr, message);
      assertEquals(result.stderr.split("\n").length, 2, result.stderr); // one line
    }
    await Deno.writeFile(file, Uint8Array.of(0x22, 0xff, 0x22));
    assertStringIncludes((await capturedRun("plan", "show", file)).stderr, "must be UTF-8 text");
    assertEquals(namesIn(folder), ["bad.json"]);
  });
});

Deno.test("plan refuses a model of other modules, and writes nothing", async () => {
  await withFolder(async (folder) => {
    const out = ["--out", `${folder}/out.json`];
    const cases = [
      ["plan", "check", NAME, "--model", DIT_A],
      ["plan", "show", NAME, "--model", DIT_A],
      ["plan", "bind", NAME, "--model", DIT_A, ...out],
      ["plan", "import", bookOf("fashion-dit-slow"), "--steps", "50", "--model", DIT_A, ...out],
    ];
    for (const words of cases) {
      const { code, stderr } = await capturedRun(...words);
      assertEquals(code, 5, stderr);
      assertMatch(stderr, /modules must be 24: current value is 6/);
    }
    assertEquals(namesIn(folder), []);
  });
});

Deno.test("plan import refuses bad books by mask, row and column", async () => {
  await withFolder(async (folder) => {
    const [file, out] = [`${folder}/book.json`, `${folder}/plan.json`];
    const good = JSON.parse(await Deno.readTextFile(bookOf("dit-a-layers")));
    const cases: readonly (readonly [unknown, string])[] = [
      [[], "book must be an object"],
      [{}, "book must be of the DiT, FLUX or Wan layout"],
      [{ ...good, more: 1 }, "without unknown keys"],
      [
        { ...good, step_cache_book: good.step_cache_book.slice(1) },
        "step_cache_book must be 20 long",
      ],
      [
        { ...good, mlp_cache_book: good.mlp_cache_book.with(4, [true]) },
        "mlp_cache_book, row 4 must be 3 long: current value is 1",
      ],
      [
        { ...good, msa_cache_book: good.msa_cache_book.with(2, [true, 0, true]) },
        "msa_cache_book, row 2, column 1 must be true or false: current value is 0",
      ],
      [
        { ...good, step_cache_book: good.step_cache_book.with(0, true) },
        "step 0 (slot joint), hidden state must be computed",
      ],
    ];
    for (const [book, message] of cases) {
      await Deno.writeTextFile(file, JSON.stringify(book));
      const result = await capturedRun("plan", "import", file, "--steps", "20", "--out", out);
      assertEquals(result.code, 5, result.stderr);
      assertStringIncludes(result.stderr, message);
    }
    await Deno.writeTextFile(file, "{ book");
    const result = await capturedRun("plan", "import", file, "--steps", "20", "--out", out);
    assertEquals(result.code, 5);
    assertStringIncludes(result.stderr, "must be JSON");
    assertEquals(namesIn(folder), ["book.json"]);
  });
});

Deno.test("plan import reads a router of Learning-to-Cache, which a cache book can say, and ratios of MagCache", async () => {
  await withFolder(async (folder) => {
    const [plan, book, ratios] = ["p.json", "b.json", "r.json"].map((name) => `${folder}/${name}`);
    const router = new URL("../golden/policies/router-20.pt", import.meta.url).pathname;
    const routed = ["plan", "import", router, "--policy", "learning-to-cache", "--out", plan!];
    const read = await capturedRun(...routed, "--steps", "20");
    assertEquals(read.code, 0, read.stderr);
    assertEquals(parsePlan(await Deno.readTextFile(plan!)).modules.length, 56);
    const exported = await capturedRun("plan", "export", plan!, "--out", book!);
    assertEquals(exported.code, 0, exported.stderr);
    const wrong = await capturedRun(...routed, "--steps", "50");
    assertEquals(wrong.code, 5);
    assertStringIncludes(
      wrong.stderr,
      "routers must be 50, one for each step: current value is 20",
    );
    const small = await capturedRun(...routed, "--steps", "20", "--model", DIT_A);
    assertEquals(small.code, 5);
    assertStringIncludes(small.stderr, "count of modules must be 56: current value is 6");
    await Deno.writeTextFile(ratios!, "[1, 1.1, 1.0, 0.99, 0.9]");
    const listed = [
      "plan",
      "import",
      ratios!,
      "--policy",
      "magcache",
      "--steps",
      "20",
      "--out",
      plan!,
    ];
    const free = await capturedRun(...listed);
    assertEquals(free.code, 2);
    assertStringIncludes(free.stderr, "a model must be given to policy magcache");
    const bound = await capturedRun(...listed, "--model", DIT_A);
    assertEquals(bound.code, 0, bound.stderr);
    const checked = await capturedRun("plan", "check", plan!, "--model", DIT_A);
    assertEquals(checked.code, 0, checked.stderr);
  });
});

Deno.test("plan export refuses what a cache book cannot say", async () => {
  await withFolder(async (folder) => {
    const plan = loadPlan(NAME);
    const file = `${folder}/plan.json`;
    await Deno.writeTextFile(
      file,
      formatPlan({ ...plan, rows: plan.rows.with(1, [STATE_ROWS.residual]) }),
    );
    const { code, stderr } = await capturedRun("plan", "export", file, "--out", `${folder}/b.json`);
    assertEquals(code, 5);
    assertStringIncludes(
      stderr,
      'step 1 must be "=" or marks "." and "r" of modules: current value is "+"',
    );
    assertEquals(namesIn(folder), ["plan.json"]);
  });
});

Deno.test("plan refuses wrong words with exit code 2 and names what is wrong", async () => {
  const book = bookOf("dit-a-layers");
  const cases: readonly (readonly [readonly string[], string])[] = [
    [[], "the command must be one of 6 names such as plan "],
    [["frobnicate"], "(--help lists them): current value is plan frobnicate"],
    [["show"], "PLAN must be given (PLAN: a file, or a bundled plan's name)"],
    [["show", "a", "b"], "its words must be options and one PLAN (--help lists them): current"],
    [["show", NAME, "--svg", "a.png"], "--svg must be a file name that ends in .svg: current"],
    [["show", NAME, "--out", "a"], "Cannot run plan show: --out is none of its options"],
    [["check", NAME, "--fast"], "--fast is none of its options"],
    [["bind", NAME], "--out must be given (FILE: file to write)"],
    [["import", book, "--steps", "20"], "--out must be given"],
    [["import", book, "--out", "/tmp/x"], "--steps must be given unless --times is"],
    [
      ["import", book, "--steps", "2", "--times", "1,0", "--out", "/tmp/x"],
      "--steps must not be given with --times: current value is 2",
    ],
    [["import", book, "--steps", "few", "--out", "/tmp/x"], "--steps must be a whole number"],
    [["import", book, "--steps", "0", "--out", "/tmp/x"], "must be a whole number in 1 … 1000"],
    [["import", book, "--times", "1,x", "--out", "/tmp/x"], "--times must be numbers, with commas"],
    [["import", book, "--times", "1.2.3", "--out", "/tmp/x"], "--times must be numbers"],
    [["import", book, "--grid", "0x3", "--out", "/tmp/x"], "--grid must be ROWSxCOLUMNS"],
    [
      ["import", book, "--sampler", "euler", "--steps", "20", "--out", "/tmp/x"],
      "--times must be given for this sampler, or --model of such a sampler",
    ],
  ];
  for (const [words, message] of cases) {
    const { code, stdout, stderr } = await capturedRun("plan", ...words);
    assertEquals([code, stdout], [2, ""], `${words}: ${stderr}`);
    assertStringIncludes(stderr, message);
  }
});

Deno.test("plan names the bundled plans where a name is misspelt, and refuses what has no end", async () => {
  const { code, stderr } = await capturedRun("plan", "show", "fashion-dit.fast");
  assertEquals(code, 3);
  assertStringIncludes(stderr, "fashion-dit.3x");
  const endless = await capturedRun("plan", "show", "/dev/zero");
  assertEquals(endless.code, 3);
  assertStringIncludes(endless.stderr, "its size must be at most 4000000 bytes");
  const folder = await capturedRun("plan", "show", "/tmp");
  assertEquals(folder.code, 3);
  assert(!folder.stderr.includes(NAME));
});

function times(steps: number): string {
  return Array.from({ length: steps }, (_, step) => 1 - step / steps).join(",");
}

async function planIn(path: string): Promise<ReturnType<typeof parsePlan>> {
  return parsePlan(await Deno.readTextFile(path));
}
