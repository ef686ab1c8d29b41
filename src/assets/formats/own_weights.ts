/**
 * A model's own tensors among those of its files, without what other programs put around their names.
 */

import { AssetError } from "../../errors.ts";
import { floatDecoder } from "./elements.ts";
import type { StoredWeights, Weights } from "../weights.ts";

/** A checkpoint of several models, as ComfyUI saves them: where it has these names, no others are ours. */
const PART = "model.diffusion_model.";
/** What wrappers of a model put before its names; the first may stand before those of a block, too. */
const WRAPPERS: readonly RegExp[] = [
  /(?<=^|\.)_orig_mod\./g, // torch.compile
  /^module\./, // DistributedDataParallel
  /^model\.diffusion_model\./,
];

/** What old versions of transformers saved beside the weights: 0, 1, 2 … as integers. */
const BUFFER = /(?:^|\.)position_ids$/;

/**
 * The tensors of the model, under the names that it gave them.
 *
 * @throws {AssetError} When one is not of floats, or two have one name.
 */
export function ownWeights(stored: StoredWeights): Weights {
  const names = [...stored.names];
  const part = names.filter((name) => name.startsWith(PART));
  const places = new Map<string, string>();
  for (const name of part.length > 0 ? part : names) {
    const own = WRAPPERS.reduce((text, wrapper) => text.replace(wrapper, ""), name);
    if (BUFFER.test(own)) continue;
    const other = places.get(own);
    if (other !== undefined) {
      throw new AssetError(
        `Cannot use weights: ${own} must be there once: current value is ${other} and ${name}`,
      );
    }
    floatDecoder(name, stored.dtype(name) ?? "absent"); // refused before gigabytes are read
    places.set(own, name);
  }
  const placeOf = (name: string): string => places.get(name) ?? name; // refused by name
  return {
    names: new Set(places.keys()),
    dims: (name) => places.has(name) ? stored.dims(placeOf(name)) : undefined,
    read: (name, signal) => stored.read(placeOf(name), signal),
    sample: (name, indices) => stored.sample(placeOf(name), indices),
  };
}
