import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../../../", import.meta.url);
const GOLDEN = new URL("tests/golden/", ROOT);
const readme = await Deno.readTextFile(new URL("README.md", GOLDEN));

Deno.test("every folder of reference numbers has a row in their README, and every row a folder", () => {
  const stored = [...foldersIn(""), ...foldersIn("books/")].sort();
  assertEquals(listed(), stored);
});

Deno.test("every script that the README names exists, and every script is named", () => {
  const named = new Set(readme.match(/scripts\/[\w/]+\.py/g));
  for (const path of named) assert(Deno.statSync(new URL(path, ROOT)).isFile, path);
  for (const { name } of Deno.readDirSync(new URL("scripts/golden/", ROOT))) {
    if (name.endsWith(".py")) assert(named.has(`scripts/golden/${name}`), name);
  }
});

/** Folders that the first cells of the tables name. */
function listed(): string[] {
  const cells = readme.match(/^\| `[^|]+/gm) ?? [];
  const names = cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!));
  return [...new Set(names)].sort();
}

function foldersIn(path: string): string[] {
  return [...Deno.readDirSync(new URL(path, GOLDEN))].filter(({ isDirectory }) => isDirectory)
    .map(({ name }) => path + name);
}
