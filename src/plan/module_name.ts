/**
 * Parses names of modules, which are all that a plan knows of them.
 */

/** Parses a name: `blocks.3.attn` is `attn` of block `blocks.3`, and of form `blocks.*.attn`. */
export function readModuleName(
  name: string,
): { readonly block: string; readonly kind: string; readonly form: string } {
  const dot = name.lastIndexOf(".");
  const block = name.slice(0, Math.max(dot, 0));
  return { block, kind: name.slice(dot + 1), form: name.replace(/\.\d+\./g, ".*.") };
}
