/**
 * What the name of a module says. A plan knows modules by name only: `blocks.3.attn` is `attn` of block
 * `blocks.3`, one of all `blocks.*.attn`.
 *
 * @module
 */

/** The parts of a module's name. */
export interface ModuleName {
  /** All but the last part, the same for all modules of a block; empty without a dot. */
  readonly block: string;
  /** The last part. */
  readonly kind: string;
  /** The name with `*` for each number between dots, the same for all modules of a form. */
  readonly form: string;
}

/** Takes a module's name apart. */
export function readModuleName(name: string): ModuleName {
  const dot = name.lastIndexOf(".");
  return {
    block: name.slice(0, Math.max(dot, 0)),
    kind: name.slice(dot + 1),
    form: name.replace(/\.\d+\./g, ".*."),
  };
}
