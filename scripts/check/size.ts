/**
 * Checks that what `deno publish` would upload stays small: weights travel with the package.
 *
 * Run: `deno run --allow-read scripts/check/size.ts`. Prints a table of the largest files; exits with 1 over the limit.
 * The tests look, too.
 */

import { readDenoConfig } from "./deno_config.ts";
import { listFiles, matching, readIgnored, type TreeFile } from "./working_tree.ts";

/** Most megabytes, of 10^6 bytes each; the registry's own limit is a little more. */
export const MAX_MB = 20;
const TABLE_ROWS = 10;
const NEVER_PUBLISHED = [".gitignore", "node_modules"]; // measured on Deno 2.9, which takes other hidden files

/**
 * The files that `deno publish` takes: not ignored, in `publish.include` if that is given, not in `publish.exclude`.
 * Hidden files and the lock file are among them unless excluded.
 */
export async function listPublished(root: URL): Promise<TreeFile[]> {
  const { publish } = await readDenoConfig(root);
  const excluded = [...publish.exclude.map(fromRoot), ...NEVER_PUBLISHED];
  const files = await listFiles(root, [...await readIgnored(root), ...excluded]);
  if (publish.include.length === 0) return files;
  const isIncluded = matching(publish.include.map(fromRoot));
  return files.filter(({ path }) => isIncluded(path));
}

/** A table of the largest files and the sum of all, in MB. */
export function formatSizes(files: readonly TreeFile[]): string {
  const largest = files.toSorted((a, b) => b.size - a.size).slice(0, TABLE_ROWS);
  const sum = { path: `${files.length} files, limit ${MAX_MB} MB`, size: totalSize(files) };
  const row = ({ path, size }: TreeFile) => `${(size / 1e6).toFixed(3).padStart(8)} MB  ${path}`;
  return [...largest, sum].map(row).join("\n");
}

/** Bytes of all of them. */
export function totalSize(files: readonly TreeFile[]): number {
  return files.reduce((sum, { size }) => sum + size, 0);
}

/** A path in deno.json is one place; in .gitignore the same text would name it in every folder. */
function fromRoot(path: string): string {
  return path.replace(/^(?:\.?\/)?/, "/");
}

if (import.meta.main) {
  const files = await listPublished(new URL("../../", import.meta.url));
  console.log(formatSizes(files));
  if (totalSize(files) > MAX_MB * 1e6) {
    console.error(`Cannot publish: package must be <= ${MAX_MB} MB: current value is above`);
    Deno.exit(1);
  }
}
