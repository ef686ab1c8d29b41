/**
 * The parts of deno.json that our checks ask for.
 */

import { z } from "zod";

/** See https://docs.deno.com/runtime/fundamentals/configuration; absent lists are empty. */
export interface DenoConfig {
  /** Entry of the package → module. */
  readonly exports: Readonly<Record<string, string>>;
  /** Bare specifier → target. */
  readonly imports: Readonly<Record<string, string>>;
  /** Name of a task → its command. */
  readonly tasks: Readonly<Record<string, string>>;
  /** Name of a package → `npm:` with its version: the scope of the whole repository. */
  readonly packages: Readonly<Record<string, string>>;
  /** Which files `deno publish` takes. */
  readonly publish: { readonly include: readonly string[]; readonly exclude: readonly string[] };
}

const paths = z.array(z.string()).default([]);
const names = z.record(z.string(), z.string()).default({});
const config: z.ZodType<DenoConfig> = z.object({
  exports: names,
  imports: names,
  tasks: names,
  scopes: z.object({ "./": names }).prefault({}),
  publish: z.object({ include: paths, exclude: paths }).prefault({}),
}).transform(({ scopes, ...rest }) => ({ ...rest, packages: scopes["./"] }));

/** Reads `deno.json` at the root; it may have comments. */
export async function readDenoConfig(root: URL): Promise<DenoConfig> {
  const text = await Deno.readTextFile(new URL("deno.json", root));
  return config.parse(JSON.parse(withoutComments(text)));
}

/** Drops comments, and leaves alone what only looks like one inside a string. */
function withoutComments(text: string): string {
  const stringOrComment = /("(?:\\.|[^"\\])*")|\/\/[^\n]*|\/\*[^]*?\*\//g;
  return text.replace(stringOrComment, (_, string: string | undefined) => string ?? "");
}
