/**
 * Where a model comes from, in the words of `model.json`: what a packed copy must say of it.
 *
 * @module
 */

import type { Manifest } from "../assets/manifest.ts";

/** Facts of a model that its tensors do not tell. */
export type ModelOrigin = Pick<Manifest, "architecture" | "config" | "licence" | "dataNotice">;

const UNKNOWN = "as its source, which has no model.json to say it";

/** The origin of a model with this `config.json`. */
export function originOf(
  architecture: string,
  config: ModelOrigin["config"],
  manifest?: Manifest,
): ModelOrigin {
  return {
    architecture,
    config,
    licence: manifest?.licence ?? UNKNOWN,
    dataNotice: manifest?.dataNotice ?? UNKNOWN,
  };
}
