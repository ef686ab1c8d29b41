/**
 * `model_index.json`: what a diffusers pipeline directory says of its parts.
 */

import { z } from "npm:zod@4.6.7";
import { AssetError } from "../errors.ts";
import { checkJson } from "./json.ts";

/** Name of the file that makes a directory a pipeline. */
export const PIPELINE_INDEX = "model_index.json";
/** Largest index of a class: bounds the list of names. */
const MAX_CLASSES = 100_000;

/** A pipeline directory's description of itself. */
export interface PipelineIndex {
  /** Diffusers' name of the pipeline's class. */
  readonly className: string;
  /** Folders that hold something, such as `transformer`, `vae`. */
  readonly parts: ReadonlySet<string>;
  /** Names of each class, separated by commas, in label order; empty when it has none. */
  readonly classNames: readonly string[];
}

/** Library and class of a part; both are null where there is none. */
const part = z.tuple([z.string(), z.string()]);
const schema = z.looseObject({
  _class_name: z.string().min(1).max(200),
  id2label: z.record(z.string().regex(/^\d{1,6}$/), z.string().max(10_000)).optional(),
});

/**
 * Reads an index. Parts that are `[null, null]` are not there.
 *
 * @throws {AssetError} When it is not an index, or labels are not 0, 1, 2 … without a gap.
 */
export function parsePipelineIndex(json: unknown): PipelineIndex {
  const { _class_name: className, id2label = {}, ...rest } = checkJson(
    json,
    schema,
    PIPELINE_INDEX,
  );
  const parts = Object.entries(rest).filter(([, value]) => part.safeParse(value).success);
  return {
    className,
    parts: new Set(parts.map(([name]) => name)),
    classNames: inOrder(id2label),
  };
}

/** A class may have several names, separated by commas. */
function inOrder(labels: Readonly<Record<string, string>>): readonly string[] {
  const count = Object.keys(labels).length;
  return Array.from({ length: Math.min(count, MAX_CLASSES) }, (_, label) => {
    const name = labels[label];
    if (name !== undefined) return name;
    throw new AssetError(
      `Cannot read ${PIPELINE_INDEX}: id2label must name every class from 0 to ${
        count - 1
      }: there is none of ${label}`,
    );
  });
}
