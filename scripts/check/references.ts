/**
 * What documents and comments point to must be there: files, folders, tasks.
 */

import { resolvePath } from "./floors.ts";

/** What there is to point to. */
export interface Known {
  /** Paths of all files, from the root. */
  readonly files: ReadonlySet<string>;
  /** Names of the tasks in deno.json. */
  readonly tasks: ReadonlySet<string>;
}

/** The front page is read on one screen or two. */
const MAX_FRONT_PAGE = 8 * 1024;

/** A path from the root in code font or in a comment; `*`, `…` and capitals stand for something else. */
const PATH = /(?<![\w./-])(?:src|scripts|tests|plans|models|examples|\.ci)\/[a-z0-9_./-]*[a-z0-9]/g;
/** What a commit changed, as it is quoted. */
const HISTORY = /^```text\n[^]*?^```$/gm;
const LINK = /\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g;
const TASK = /\bdeno(?:@[\d.]+)?(?: -\w+)* task(?: --\w+)* ([a-z][a-z0-9:_-]*)/g;
const DOCUMENT = /(?<![\w./-])[\w-]+\.md\b/g;

/** References of a Markdown file or of a TypeScript file's comments to what is not there, one line each. */
export function findDangling(path: string, text: string, { files, tasks }: Known): string[] {
  const names = new Set([...files].map((file) => file.split("/").at(-1)));
  const exists = (target: string): boolean => {
    const bare = target.replace(/\/$/, "");
    return files.has(bare) || [...files].some((file) => file.startsWith(`${bare}/`));
  };
  const isMarkdown = path.endsWith(".md");
  const prose = isMarkdown ? text.replace(HISTORY, "") : commentsOf(text);
  const links = isMarkdown ? matches(prose, LINK).map((link) => resolvePath(path, link, link)) : [];
  return [
    ...links.filter((link) => !exists(link)),
    ...matches(prose, PATH).filter((target) => !exists(target)),
    ...matches(prose, TASK).filter((task) => !tasks.has(task)).map((task) => `task ${task}`),
    ...matches(prose, DOCUMENT).filter((name) => !names.has(name)),
  ].map((target) => `${path} refers to ${target}, which is not there`);
}

/** A front page that is too long. */
export function findLongPage(path: string, bytes: number): string[] {
  if (path !== "README.md" || bytes <= MAX_FRONT_PAGE) return [];
  return [`README.md must have <= ${MAX_FRONT_PAGE} bytes: has ${bytes}`];
}

function matches(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] ?? match[0]);
}

function commentsOf(source: string): string {
  return (source.match(/\/\*\*?[^]*?\*\/|(?<=^|\s)\/\/[^\n]*/g) ?? []).join("\n");
}
