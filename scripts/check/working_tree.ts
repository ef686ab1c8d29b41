/**
 * The files of the repository as a person sees them: what .gitignore names is left out, and `.git` itself.
 */

/** A file below the root. */
export interface TreeFile {
  /** Relative to the root, with `/`. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
}

/** Lists the files below `root` that no pattern (as in .gitignore) names, by path; links are not followed. */
export async function listFiles(root: URL, patterns: readonly string[]): Promise<TreeFile[]> {
  const isNamed = matching([".git", ...patterns]);
  const files: TreeFile[] = [];
  async function visit(folder: string): Promise<void> {
    for await (const { name, isDirectory, isFile } of Deno.readDir(new URL(folder, root))) {
      const path = `${folder}${name}`;
      if (isNamed(path)) continue;
      if (isDirectory) await visit(`${path}/`);
      if (isFile) files.push({ path, size: (await Deno.stat(new URL(path, root))).size });
    }
  }
  await visit("");
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The patterns of `.gitignore` at the root; none when there is no such file. */
export async function readIgnored(root: URL): Promise<string[]> {
  try {
    const text = await Deno.readTextFile(new URL(".gitignore", root));
    return text.split("\n").map((line) => line.trim()).filter((line) => /^[^#]/.test(line));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/**
 * A predicate for paths that a pattern names, or that lie in a folder that a pattern names. Knows what our .gitignore
 * and `publish.exclude` use: `*`, `**`, a leading or inner `/` (anchored at the root), a trailing `/`. No negation.
 */
export function matching(patterns: readonly string[]): (path: string) => boolean {
  const expressions = patterns.map(toRegExp);
  return (path) => expressions.some((expression) => expression.test(path));
}

function toRegExp(pattern: string): RegExp {
  if (pattern.startsWith("!")) {
    throw new SyntaxError(
      `Cannot read pattern: it must not be negated: current value is ${pattern}`,
    );
  }
  const bare = pattern.replace(/^\/|\/$/g, "");
  const anchored = /\/./.test(pattern);
  const body = bare
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replace(/\*\*\/?|\*/g, (star) => (star === "*" ? "[^/]*" : ".*"))
    .replaceAll("?", "[^/]");
  return new RegExp(`${anchored ? "^" : "(?:^|/)"}${body}(?:/|$)`);
}
