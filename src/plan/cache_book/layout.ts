/**
 * Cache books: the plan files of the published InvarDiff code (v1; DiT, FLUX and Wan layouts).
 * Booleans, `true` = reuse, row = step, column = block; they do not say for which model or sampler.
 *
 * Source: github.com/zihaowu25/InvarDiff (main branch), its writers and loaders of cache books.
 */

/** A cache book as JSON would hold it. */
export type CacheBook = Readonly<Record<string, unknown>>;

/** `mask[step][block]`, `true` = reuse. */
export type Mask = readonly (readonly boolean[])[];

/** How one published layout names things. */
export interface Layout {
  /** Family of models. */
  readonly architecture: string;
  /** Model calls of one step; one row holds for all. */
  readonly slots: readonly string[];
  /** Keys of the step mask; the first is written, any is read. */
  readonly step: readonly string[];
  /** Forms of blocks, in execution order. */
  readonly groups: readonly Group[];
  /** The loader computes row 0 whatever the book says. */
  readonly guardsFirst: boolean;
}

/** Blocks of one form. */
export interface Group {
  /** Key of the object that holds the masks; absent = the book itself. */
  readonly key?: string;
  /** Modules are named `<prefix>.<block>.<part>`. */
  readonly prefix: string;
  /** Parts of a block in execution order, each with the masks that must all agree to reuse it. */
  readonly parts: Readonly<Record<string, readonly string[]>>;
  /** A mask that must be absent or equal to another: `[copy, of]`. */
  readonly copy?: readonly [copy: string, of: string];
}

/** The published layouts. */
export const LAYOUTS: readonly Layout[] = [
  {
    architecture: "dit",
    slots: ["joint"],
    step: ["step_cache_book"],
    groups: [{ prefix: "blocks", parts: { attn: ["msa_cache_book"], mlp: ["mlp_cache_book"] } }],
    guardsFirst: false,
  },
  {
    architecture: "flux",
    slots: ["joint"],
    step: ["step_cache_book"],
    groups: [
      {
        key: "transformer_cache_book",
        prefix: "transformer_blocks",
        // Joint attention is one operation: skipped only where both of its outputs are reused.
        parts: { attn: ["attn", "context_attn"], ff: ["ff"], context_ff: ["context_ff"] },
        copy: ["ip_attn", "attn"],
      },
      {
        key: "single_transformer_cache_book",
        prefix: "single_transformer_blocks",
        parts: { attn: ["attn"], mlp: ["mlp"] },
      },
    ],
    guardsFirst: false,
  },
  {
    architecture: "wan",
    slots: ["cond", "uncond"],
    step: ["step_cache_bool", "step_cache_book"],
    groups: [{
      key: "module_cache_book",
      prefix: "blocks",
      parts: { self_attn: ["self_attn"], cross_attn: ["cross_attn"], ffn: ["ffn"] },
    }],
    guardsFirst: true,
  },
];
