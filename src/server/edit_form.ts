/**
 * The form of `POST /v1/images/edits`: fields, a picture, and perhaps a mask.
 *
 * *Source:* OpenAI API reference, "Create image edit".
 */

import { fitEdit, type FittedEdit } from "../engine/request_edit.ts";
import { AssetError } from "../errors.ts";
import type { Picture } from "../image/picture.ts";
import { toTransparency } from "../image/planes.ts";
import { readPicture, type ReadPictureOptions } from "../image/read_picture.ts";
import type { JobSpec } from "./job_spec.ts";
import { type BodyBounds, readBounded } from "./read_body.ts";
import { refuse, RequestError } from "./request_error.ts";

/** A form, its fields as JSON would have them. */
export interface EditForm {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly image: File;
  readonly mask: File | undefined;
}

/** Fields that are numbers, and true or false; a label may be a number. All others are texts. */
const NUMBERS: ReadonlySet<string> = new Set([
  "n",
  "seed",
  "steps",
  "strength",
  "guidance_scale",
  "true_guidance_scale",
  "output_compression",
  "partial_images",
  "label",
]);
const FLAGS: ReadonlyMap<string, boolean> = new Map([["true", true], ["false", false]]);

/**
 * Reads a form.
 *
 * @throws {RequestError} 413 and 408 as {@linkcode readBounded}, 415 when it is no form, 400 when it has no image, more
 * than one, or anything twice.
 */
export async function readEditForm(request: Request, bounds: BodyBounds): Promise<EditForm> {
  const type = request.headers.get("content-type") ?? "none";
  if (!/^multipart\/form-data\b/i.test(type)) {
    throw new RequestError(
      `Cannot read body: content-type must be multipart/form-data: current value is ${type}`,
      { status: 415, code: "unsupported_media_type" },
    );
  }
  const bytes = await readBounded(request, bounds);
  const form = await new Response(bytes, { headers: { "content-type": type } }).formData()
    .catch(() => {
      throw new RequestError("Cannot read body: it must be a form in parts", {
        code: "invalid_form",
      });
    });
  const images = [...form.getAll("image"), ...form.getAll("image[]")];
  const masks = form.getAll("mask");
  if (images.length !== 1) refuse("image", "one picture", images.length);
  if (masks.length > 1) refuse("mask", "one picture", masks.length);
  return {
    fields: fieldsOf(form),
    image: fileOf("image", images[0]!),
    mask: masks[0] === undefined ? undefined : fileOf("mask", masks[0]),
  };
}

function fileOf(param: string, entry: FormDataEntryValue): File {
  return typeof entry === "string" ? refuse(param, "a file", "a text") : entry;
}

function fieldsOf(form: FormData): Readonly<Record<string, unknown>> {
  const fields: [name: string, value: unknown][] = [];
  for (const name of new Set(form.keys())) {
    if (["image", "image[]", "mask"].includes(name)) continue;
    const values = form.getAll(name);
    const [value] = values;
    if (values.length > 1) refuse(name, "given once", `${values.length} times`);
    fields.push([name, typeof value === "string" ? valueOf(name, value) : "a file"]);
  }
  return Object.fromEntries(fields);
}

/** A field's text as its kind of value; what is none stays a text, which is refused by name. */
function valueOf(name: string, text: string): unknown {
  if (name === "stream") return FLAGS.get(text) ?? text;
  if (!NUMBERS.has(name) || text.trim() === "" || Number.isNaN(Number(text))) return text;
  return Number(text);
}

/**
 * Decodes a form's pictures, in the size of the model's.
 *
 * @throws {RequestError} 400 when they are no pictures, too large, differ in size, or the mask is opaque.
 */
export async function readEdit(
  { image, mask }: Pick<EditForm, "image" | "mask">,
  { spec: { model: { facts } }, strength, ...reading }: ReadPictureOptions & {
    readonly spec: JobSpec;
    readonly strength: number;
  },
): Promise<FittedEdit> {
  const [, height, width] = facts.picture ?? facts.latent;
  const picture = await decode("image", image, reading);
  const painted = mask && maskOf(await decode("mask", mask, reading), picture);
  const options = { image: picture, strength, ...(painted !== undefined && { mask: painted }) };
  return fitEdit(options, { width, height });
}

async function decode(
  param: string,
  file: File,
  reading: ReadPictureOptions,
): Promise<Picture> {
  try {
    return await readPicture(new Uint8Array(await file.arrayBuffer()), reading);
  } catch (cause) {
    if (!(cause instanceof AssetError || cause instanceof RangeError)) throw cause;
    throw new RequestError(`${param}: ${cause.message}`, { code: "invalid_image", param });
  }
}

/** White where a mask is transparent. */
function maskOf(given: Picture, image: Picture): Picture {
  const { width, height } = given;
  if (width !== image.width || height !== image.height) {
    const wanted = `${image.width} × ${image.height}, as the image is`;
    refuse("mask", wanted, `${width} × ${height}`);
  }
  const mask = toTransparency(given);
  if (mask.pixels.every((level) => level < 128)) {
    refuse("mask", "transparent where the picture is repainted", "opaque");
  }
  return mask;
}
