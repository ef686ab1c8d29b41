/**
 * From a location to a model of the family that claims it.
 */

import type { ModelLocation } from "../assets/location.ts";
import { type ModelDirectory, openModelDirectory } from "../assets/model_dir.ts";
import { AssetError } from "../errors.ts";
import { FAMILIES } from "./families.ts";
import { expectSupported, expectSupportedTensors, supportedText } from "./known_classes.ts";
import type { Family, Model, ModelChoice } from "./model.ts";

/**
 * Opens a model from a directory, a URL prefix, a hub, a .safetensors or .pt file, or files in memory. Only
 * headers are read.
 *
 * @throws {AssetError} When it is not a model we know, or its tensors do not fit its configuration.
 */
export async function openModel(
  location: ModelLocation,
  choice: ModelChoice = {},
): Promise<Model> {
  const directory = await openModelDirectory(location, {
    ...choice,
    checkDescription: expectSupported,
  });
  try {
    return await familyOf(directory).open(directory, choice);
  } catch (error) {
    await directory.close();
    throw error;
  }
}

/** By the name in `model.json`, else by what the family claims. */
function familyOf({ manifest, config, weights: { names }, name }: ModelDirectory): Family {
  if (manifest !== undefined) {
    const { architecture } = manifest;
    const family = FAMILIES.find((family) => family.architecture === architecture);
    if (family !== undefined) return family;
    const known = FAMILIES.map(({ architecture }) => architecture).join(" or ");
    throw new AssetError(
      `Cannot open ${name}: architecture must be ${known}: current value is ${architecture}`,
    );
  }
  expectSupportedTensors(names, name);
  const family = FAMILIES.find((family) => family.claims(config, names));
  if (family !== undefined) return family;
  throw new AssetError(
    `Cannot open ${name}: its tensors are not those of a model that is supported: ${supportedText()}`,
  );
}
