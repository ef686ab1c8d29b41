/**
 * Where a model comes from, in the words of `model.json`: what a packed copy must say of it.
 *
 * @module
 */

import type { Manifest } from "../assets/manifest.ts";
import type { ModelDirectory } from "../assets/model_dir.ts";

/** Facts of a model that its tensors do not tell. */
export type ModelOrigin = Pick<Manifest, "architecture" | "config" | "licence" | "dataNotice">;

const UNKNOWN = "as its source, which has no model.json to say it";

/** The origin of a model whose resolved configuration has the keys of its JSON in camel case. */
export function originOf(
  architecture: string,
  config: object,
  { manifest }: ModelDirectory,
): ModelOrigin {
  return {
    architecture,
    config: Object.fromEntries(
      Object.entries(config).map(([key, value]) => [snakeCase(key), value]),
    ),
    licence: manifest?.licence ?? UNKNOWN,
    dataNotice: manifest?.dataNotice ?? UNKNOWN,
  };
}

function snakeCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
