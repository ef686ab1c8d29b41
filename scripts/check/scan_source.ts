/**
 * Finds the imports of a TypeScript file, and the rest of its code without comments and strings.
 *
 * A scanner of its own, because the alternatives cost more than they give: the `typescript` package is 23 MB for one
 * question, and `deno info --json` needs run permission and resolves the whole graph, npm packages included.
 * It knows comments, strings, templates and regular expressions; that is all that can hide or fake an import.
 */

/** One `import`, `export … from` or literal `import(…)`. */
export interface Import {
  /** As written: `./a.ts`, `npm:zod`, `node:fs`. */
  readonly specifier: string;
  /** Line of the specifier, from 1. */
  readonly line: number;
}

/** Statements and calls that name another module; the indices say where the specifier's quote is. */
const IMPORTS = [
  /\b(?:import|export)\b[\s\w$,*{}]*?\bfrom\s*(["'])/dg,
  /\bimport\s*(["'])/dg,
  /\bimport\s*\(\s*(["'`])/dg,
];

/** Tokens whose inside is no code. A `/` is taken for a regular expression where no operand can end before it. */
const OPAQUE = new RegExp(
  [
    String.raw`\/\/[^\n]*`,
    String.raw`\/\*[^]*?\*\/`,
    String.raw`"(?:\\[^]|[^"\\\n])*"`,
    String.raw`'(?:\\[^]|[^'\\\n])*'`,
    String.raw`(?<=(?:^|[(,=:\[!&|?{};]|\breturn|\btypeof|\bcase|=>)\s*)` +
    String.raw`\/(?![*\/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^\/\\\n\[])+\/[a-z]*`,
    "[`{}]",
  ].join("|"),
  "g",
);

/** All imports of a file, in the order in which they stand. */
export function findImports(source: string): Import[] {
  const code = maskSource(source);
  return IMPORTS
    .flatMap((pattern) => [...code.matchAll(pattern)])
    .map((match) => match.indices![1]![0])
    .sort((a, b) => a - b)
    .map((quote) => ({
      specifier: source.slice(quote + 1, source.indexOf(source[quote]!, quote + 1)),
      line: lineAt(source, quote),
    }));
}

/** Lines, from 1, on which `pattern` (with flag g) matches code rather than comments or strings. */
export function findInCode(source: string, pattern: RegExp): number[] {
  const lines = [...maskSource(source).matchAll(pattern)].map(({ index }) => lineAt(source, index));
  return [...new Set(lines)];
}

function lineAt(source: string, index: number): number {
  return source.slice(0, index).split("\n").length;
}

/** The same text at the same places, with blanks for what is in comments, strings and templates. Quotes stay. */
export function maskSource(source: string): string {
  let masked = "";
  let at = 0;
  /** Per open template, how many braces are open inside its `${…}`. */
  const templates: number[] = [];
  while (at < source.length) {
    OPAQUE.lastIndex = at;
    const match = OPAQUE.exec(source);
    if (match === null) break;
    masked += source.slice(at, match.index);
    at = match.index;
    let token = match[0];
    const depth = templates.at(-1);
    if (token === "{" && depth !== undefined) templates[templates.length - 1] = depth + 1;
    if (token === "}" && depth !== undefined && depth > 0) {
      templates[templates.length - 1] = depth - 1;
    }
    if (token === "`" || (token === "}" && depth === 0)) {
      if (token === "}") templates.pop();
      token = templateText(source, at);
      if (token.endsWith("${")) templates.push(0);
    }
    masked += blank(token);
    at += token.length;
  }
  return masked + source.slice(at);
}

/** From a template's opening quote, or from the brace that closes an insertion, to the next insertion or the end. */
function templateText(source: string, start: number): string {
  const text = /(?:\\[^]|\$(?!\{)|[^`\\$])*(?:`|\$\{|$)/y;
  text.lastIndex = start + 1;
  return source[start]! + (text.exec(source)?.[0] ?? "");
}

function blank(token: string): string {
  const isComment = token.startsWith("//") || token.startsWith("/*");
  if (isComment) return token.replace(/[^\n]/g, " ");
  if (token.length < 2) return token;
  return token[0]! + token.slice(1, -1).replace(/[^\n]/g, " ") + token.at(-1)!;
}
