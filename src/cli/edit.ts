/**
 * The picture that a run begins from, from files.
 */

import { maskDigest, pictureDigest } from "../engine/edit_facts.ts";
import type { EditOptions } from "../engine/request_edit.ts";
import { AssetError } from "../errors.ts";
import type { Picture } from "../image/picture.ts";
import { readPicture } from "../image/read_picture.ts";
import { readWhole } from "./files.ts";
import type { GenerateCommand } from "./generate_options.ts";

/**
 * Reads image and mask of a command.
 *
 * @throws {AssetError | RangeError} When a file cannot be read, is no picture, or not the one to repeat.
 */
export async function readEdit(
  { image, mask, strength, edit }: Pick<GenerateCommand, "image" | "mask" | "strength" | "edit">,
): Promise<EditOptions> {
  const wanted = { image: edit?.image, mask: edit?.mask };
  return {
    image: await readGivenPicture("image", image, wanted.image),
    mask: await readGivenPicture("mask", mask, wanted.mask),
    strength,
  };
}

/** By what a record knows them. */
const DIGESTS = { image: pictureDigest, mask: maskDigest } as const;

/** @param digest Of the picture that a picture to repeat began from. */
async function readGivenPicture(
  what: "image" | "mask",
  path: string | undefined,
  digest: string | undefined,
): Promise<Picture | undefined> {
  const picture = path === undefined ? undefined : await reading(path);
  if (digest === undefined) return picture;
  const actual = picture === undefined ? "none" : DIGESTS[what](picture);
  if (actual === digest) return picture;
  throw new AssetError(
    `Cannot repeat the picture: its ${what} must be that of ${digest} (give it by --${what}): ` +
      `current value is ${actual}`,
  );
}

async function reading(path: string): Promise<Picture> {
  const bytes = await readWhole(path);
  try {
    return await readPicture(bytes);
  } catch (error) {
    const message = `${path}: ${error instanceof Error ? error.message : error}`;
    if (error instanceof RangeError) throw new RangeError(message, { cause: error });
    throw new AssetError(message, { cause: error });
  }
}
