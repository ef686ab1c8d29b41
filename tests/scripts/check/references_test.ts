import { assertEquals } from "@std/assert";
import { findDangling, findLongPage } from "../../../scripts/check/references.ts";

const known = {
  files: new Set(["README.md", "src/plan/plan.ts", "src/server/README.md", "plans/a.json"]),
  tasks: new Set(["test", "bench:plans"]),
};

Deno.test("findDangling() knows files, folders, documents and tasks, in documents and in comments", () => {
  const right =
    "[plans](plans/) and [the server](src/server/README.md#keys), `src/plan/plan.ts`, " +
    "`npx -y deno@2.9 task test`, `deno task --quiet bench:plans`, [out](https://example.org/x.md)";
  assertEquals(findDangling("README.md", right, known), []);
  assertEquals(findDangling("src/server/README.md", "[up](../plan/plan.ts)", known), []);
  const wrong = "[gone](docs/a.md), `src/plan/row.ts`, `deno task bench:rows`, see design.md";
  assertEquals(
    findDangling("README.md", wrong, known).map((fault) => fault.split(" refers to ")[1]),
    ["docs/a.md", "src/plan/row.ts", "task bench:rows", "design.md"]
      .map((target) => `${target}, which is not there`),
  );
  const code =
    '/** As `src/plan/row.ts` has it. */\nconst a = "src/plan/none.ts"; // deno task tset\n';
  assertEquals(findDangling("src/a.ts", code, known), [
    "src/a.ts refers to src/plan/row.ts, which is not there",
    "src/a.ts refers to task tset, which is not there",
  ]);
});

Deno.test("findDangling() leaves alone what a commit changed, as it is quoted", () => {
  const quoted = "```text\nsrc/plan/row.ts | 3 +\n```\n";
  assertEquals(findDangling("README.md", quoted, known), []);
});

Deno.test("findLongPage() refuses a front page of more than 8 KB, and no other", () => {
  assertEquals(findLongPage("README.md", 8192), []);
  assertEquals(findLongPage("README.md", 8193), ["README.md must have <= 8192 bytes: has 8193"]);
  assertEquals(findLongPage("src/server/README.md", 9999), []);
});
