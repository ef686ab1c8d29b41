/**
 * The tensors of a FLUX transformer under diffusers' names, and proof that weights are those.
 */

import { checkTensors, type TensorShapes } from "../../assets/tensor_shapes.ts";
import { tensorsOf } from "../tensors_of.ts";
import { type FluxConfig, fluxWidth } from "./config.ts";
import { flux } from "./flux.ts";
import { projectionShares } from "./single.ts";

/** Every tensor that a state dict of this configuration has, by name. */
export function fluxTensors(config: FluxConfig): ReadonlyMap<string, readonly number[]> {
  return asPublished(moduleTensors(config), config);
}

/** Each `proj_out` whole, instead of its shares. */
function asPublished(
  modules: ReadonlyMap<string, readonly number[]>,
  config: FluxConfig,
): ReadonlyMap<string, readonly number[]> {
  const tensors = new Map(modules);
  for (const [name, { source, columns: [first, count] }] of projectionShares(config)) {
    tensors.delete(name);
    tensors.set(source, [fluxWidth(config), first + count]); // the last share ends it
  }
  return tensors;
}

/** The tensors as modules take them and packed copies store them: each `proj_out` split into its shares. */
function moduleTensors(config: FluxConfig): Map<string, readonly number[]> {
  return tensorsOf(flux(config, { T: 1, M: 1 })); // whatever the sizes
}

/** Whether these are the tensors that modules take. */
export function isInShares(config: FluxConfig, { names }: Pick<TensorShapes, "names">): boolean {
  return [...projectionShares(config).keys()].some((name) => names.has(name)); // Node 20 has no helpers of iterators
}

/**
 * Proves that the tensors are those of the configuration, or of a packed copy.
 *
 * @returns Their names, as they are published.
 * @throws {AssetError} Naming the first missing, extra or mis-shaped tensor.
 */
export function checkFluxTensors(config: FluxConfig, shapes: TensorShapes): readonly string[] {
  const modules = moduleTensors(config);
  const tensors = asPublished(modules, config);
  const wanted = isInShares(config, shapes) ? modules : tensors;
  checkTensors(wanted, shapes, "a FLUX transformer");
  return [...tensors.keys()];
}
