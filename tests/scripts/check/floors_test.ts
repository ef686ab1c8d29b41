import { assertEquals } from "@std/assert";
import { findFaults } from "../../../scripts/check/floors.ts";

const imports = {
  "@std/assert": "./tests/_shim/assert.ts",
  "remote": "https://example.com/mod.ts",
};
const packages = { "zod": "npm:zod@4.6.7", "@noble/hashes": "npm:@noble/hashes@2.4.0" };

/** Faults of a house with one file. */
function faultsOf(path: string, source = ""): string[] {
  return findFaults({ files: new Map([[path, source]]), imports, packages });
}

Deno.test("findFaults() lets imports go down a floor, stay in the folder and take errors.ts", () => {
  const source = [
    'import { b } from "./b.ts";',
    'import type { Plan } from "../plan/plan.ts";',
    'export { session } from "../backend/backend.ts";',
    'import { AssetError } from "../errors.ts";',
  ].join("\n");
  assertEquals(faultsOf("src/engine/a.ts", source), []);
});

Deno.test("findFaults() names file, line, target and floors of an import that goes up", () => {
  const source = '\n\nimport { run } from "../engine/executor.ts";\n';
  assertEquals(faultsOf("src/plan/plan.ts", source), [
    "src/plan/plan.ts:3 imports src/engine/executor.ts: floor 0 must not know floor 4",
  ]);
});

Deno.test("findFaults() keeps the neighbours of a floor strangers", () => {
  for (
    const [from, to, floor] of [["model", "backend", 3], ["backend", "model", 3], [
      "onnx",
      "assets",
      1,
    ]]
  ) {
    assertEquals(faultsOf(`src/${from}/a.ts`, `import "../${to}/b.ts";`), [
      `src/${from}/a.ts:1 imports src/${to}/b.ts: ${from} and ${to} are strangers on floor ${floor}`,
    ]);
  }
  assertEquals(faultsOf("src/model/a.ts", 'import "../sampler/b.ts";'), []);
  assertEquals(faultsOf("src/model/a.ts", 'import "../text/b.ts";'), []);
  assertEquals(faultsOf("src/text/a.ts", 'import "../assets/b.ts"; import "../onnx/b.ts";'), []);
  assertEquals(faultsOf("src/text/a.ts", 'import "../model/b.ts";'), [
    "src/text/a.ts:1 imports src/model/b.ts: floor 2 must not know floor 3",
  ]);
});

Deno.test("findFaults() sees every form of import, however it is laid out", () => {
  const sources = [
    'import a, { type b } from "../engine/a.ts";',
    'import {\n  a, // from "x"\n  b as c,\n} from "../engine/a.ts";',
    'import type * as a from "../engine/a.ts";',
    "import '../engine/a.ts'",
    'export * from "../engine/a.ts";',
    'export type { A } from "../engine/a.ts";',
    'const a = await import("../engine/a.ts");',
    "const a = await import(\n  `../engine/a.ts`,\n);",
    'type A = import("../engine/a.ts").A;',
    'const quote = /["`]/; import "../engine/a.ts";',
    'const text = `${[`}`].map((a) => { return a; })}`; import "../engine/a.ts";',
  ];
  for (const source of sources) {
    assertEquals(faultsOf("src/plan/a.ts", source).length, 1, source);
  }
});

Deno.test("findFaults() is not misled by comments, strings, templates and expressions", () => {
  const sources = [
    '// import "../engine/a.ts";',
    '/**\n * ```ts\n * import { a } from "../engine/a.ts";\n * ```\n */',
    "const text = 'import \"../engine/a.ts\"';",
    'const text = `${1}\nimport { a } from "../engine/a.ts";\nDeno.exit()`;',
    'const expression = /import ".."/; const from = "a";',
    "const half = a / 2; const url = `a/${b / 2}`; // Deno",
    "const here = import.meta.url;",
  ];
  for (const source of sources) assertEquals(faultsOf("src/plan/a.ts", source), [], source);
});

Deno.test("findFaults() allows node: and packages with their version, for importers that have no deno.json", () => {
  const zod = "npm:zod@4.6.7";
  for (const name of [zod, `${zod}/mini`, "npm:@noble/hashes@2.4.0/sha2.js", "node:fs/promises"]) {
    assertEquals(faultsOf("src/plan/a.ts", `import "${name}";`), []);
  }
  const versions = ["npm:zod", "npm:zod@4", `${zod}1`, "zod", "zod/mini", "npm:lodash@4.0.0"];
  for (const name of [...versions, "lodash", "remote", "https://a.com/b.ts", "jsr:@a/b", "/a.ts"]) {
    assertEquals(faultsOf("src/plan/a.ts", `import "${name}";`), [
      `src/plan/a.ts:1 imports ${name}: ` +
      "must be a relative file, node:, or npm: with a package and version of deno.json",
    ]);
  }
});

Deno.test("findFaults() keeps tests, scripts and what lies outside away from published modules", () => {
  const targets = [
    ["@std/assert", "tests/_shim/assert.ts"],
    ["../../scripts/bench.ts", "scripts/bench.ts"],
    ["../../mod.ts", "mod.ts"],
    ["../../../other/a.ts", "../other/a.ts"],
  ];
  for (const [specifier, target] of targets) {
    assertEquals(faultsOf("src/cli/a.ts", `import "${specifier}";`), [
      `src/cli/a.ts:1 imports ${target}: published modules import only from src`,
    ]);
  }
  assertEquals(faultsOf("src/cli/a.ts", 'import "../../deno.json" with { type: "json" };'), []);
  assertEquals(faultsOf("tests/a_test.ts", 'import "@std/assert"; import "lodash";'), []);
});

Deno.test("findFaults() lets mod.ts import from every floor and errors.ts from none", () => {
  assertEquals(faultsOf("mod.ts", 'export * from "./src/cli/a.ts"; import "./src/plan/b.ts";'), []);
  assertEquals(faultsOf("src/errors.ts", 'import "./plan/plan.ts";'), [
    "src/errors.ts:1 imports src/plan/plan.ts: floor -1 must not know floor 0",
  ]);
});

Deno.test("findFaults() allows Deno in faces and assets/source.ts only", () => {
  const source = "const a = 1;\nconst b = Deno.args;\nconst c = globalThis.Deno;\n";
  for (const path of ["src/cli/a.ts", "src/server/a.ts", "src/edge/a.ts", "src/assets/source.ts"]) {
    assertEquals(faultsOf(path, source), []);
  }
  for (const path of ["src/assets/safetensors.ts", "src/engine/a.ts", "mod.ts"]) {
    assertEquals(faultsOf(path, source), [
      `${path}:2 uses Deno: only faces and assets/source.ts may`,
      `${path}:3 uses Deno: only faces and assets/source.ts may`,
    ]);
  }
});

Deno.test("findFaults() keeps what Node 20 lacks out of all but the edge", () => {
  const source = "// Map.groupBy() is newer\nconst a = Map.groupBy([1], () => 1);\n";
  assertEquals(faultsOf("src/edge/a.ts", source), []);
  assertEquals(faultsOf("src/plan/a.ts", source), [
    "src/plan/a.ts:2 uses what Node 20 does not have",
  ]);
});

Deno.test("findFaults() caps a source file at 300 lines, and nothing else", () => {
  assertEquals(faultsOf("src/plan/a.ts", "// line\n".repeat(300)), []);
  assertEquals(faultsOf("src/plan/a.ts", "// line\n".repeat(301)), [
    "src/plan/a.ts must have <= 300 lines: has 301",
  ]);
  assertEquals(faultsOf("tests/a_test.ts", "// line\n".repeat(301)), []);
});

Deno.test("findFaults() refuses names that say nothing", () => {
  const refused = [
    "src/engine/utils.ts",
    "src/engine/util.ts",
    "src/engine/common/a.ts",
    "tests/helpers/a.ts",
    "src/model/types.ts",
    "scripts/index.ts",
  ];
  for (const path of refused) {
    assertEquals(faultsOf(path), [`${path} has a name that says nothing`]);
  }
  assertEquals(faultsOf("src/page/index.html"), []);
  assertEquals(faultsOf("src/plan/common_steps.ts"), []);
});

Deno.test("findFaults() refuses folders without a floor and strays at the top", () => {
  assertEquals(faultsOf("src/shared/a.ts"), ["src/shared/a.ts is on no floor"]);
  assertEquals(faultsOf("src/main.ts"), ["src/main.ts is on no floor"]);
  for (const path of ["NOTES.md", "lib/a.ts", "package.json"]) {
    const top = path.split("/")[0];
    assertEquals(faultsOf(path), [`${path} ${top} has no place at the top of the repository`]);
  }
  for (
    const path of ["mod.ts", "plans/a.json", "models/a/b.bin", "LICENSE", ".ci/run", ".gitignore"]
  ) {
    assertEquals(faultsOf(path), []);
  }
});
