/**
 * From pictures to the bytes of a picture file.
 *
 * PNG is our own and always there. JPEG and WebP are jSquash's WebAssembly encoders, loaded when they are
 * first asked for; where they cannot be loaded, they are refused by name.
 */

import { type Picture, toPictures, toRgba } from "../image/picture.ts";
import { encodePng } from "../image/png.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { recordOf, recordText } from "../engine/picture_record.ts";
import type { OutputFormat } from "./api.ts";
import type { JobSpec } from "./job_spec.ts";
import { RequestError } from "./request_error.ts";
import { isTrulyGuided } from "./subject.ts";

export const MEDIA_TYPES: Readonly<Record<OutputFormat, string>> = {
  png: "image/png",
  jpeg: "image/jpeg",
  webp: "image/webp",
};

/** Encodes each of a job's pictures `(n, 1 or 3, H, W)`; a PNG says how it was made. */
export async function encodeResult(spec: JobSpec, pictures: Tensor): Promise<EncodedPicture[]> {
  return await encode(spec, pictures, (i) => {
    const { label = 0, prompt, seed, guidance } = spec.pictures[i]!; // one for each row
    const { trueGuidance, edit, policy, ...rest } = spec;
    const run = {
      ...rest,
      ...(edit !== undefined && { edit: edit.record }),
      ...(policy !== undefined && { policy: { word: policy } }),
      guidance,
      ...(prompt !== undefined && { prompts: [prompt] }),
      ...(isTrulyGuided(prompt, trueGuidance) && { trueGuidance }),
    };
    return recordText(recordOf(run, { labels: [label], seed }, spec.model.facts.record));
  });
}

/** Encodes each of a job's previews `(n, 1 or 3, h, w)`. */
export async function encodePreview(spec: JobSpec, previews: Tensor): Promise<EncodedPicture[]> {
  return await encode(spec, previews, () => ({}));
}

type EncodedPicture = Uint8Array<ArrayBuffer>;

async function encode(
  { format, compression }: JobSpec,
  pictures: Tensor,
  text: (i: number) => Readonly<Record<string, string>>,
): Promise<EncodedPicture[]> {
  return await Promise.all(
    toPictures(pictures).map(async (picture, i) =>
      format === "png"
        ? new Uint8Array(await encodePng(picture, text(i)))
        : await encodeLossy(picture, format, compression)
    ),
  );
}

/** Formats that can be made here; loads the encoders. */
export async function usableFormats(): Promise<readonly OutputFormat[]> {
  const others = await Promise.all((["jpeg", "webp"] as const).map(async (format) => {
    return await loadEncoder(format).then(() => [format], () => []);
  }));
  return ["png", ...others.flat()];
}

/**
 * Makes sure that a format can be made, before the work.
 *
 * @throws {RequestError} 400 when it cannot.
 */
export async function expectFormat(format: OutputFormat): Promise<void> {
  if (format === "png") return;
  try {
    await loadEncoder(format);
  } catch {
    throw new RequestError(
      `Cannot generate: output_format must be png, for this server has no encoder of ${format}: ` +
        `current value is ${format}`,
      { code: "unsupported_format", param: "output_format" },
    );
  }
}

async function encodeLossy(
  picture: Picture,
  format: "jpeg" | "webp",
  quality: number | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const encode = await loadEncoder(format);
  const image = { ...toRgba(picture), colorSpace: "srgb" } as ImageData; // no constructor of it in Bun and Node
  return new Uint8Array(await encode(image, quality === undefined ? {} : { quality }));
}

type Encoder = (
  image: ImageData,
  options: { readonly quality?: number },
) => Promise<ArrayBuffer>;

async function loadEncoder(format: "jpeg" | "webp"): Promise<Encoder> {
  const { default: encode } = format === "jpeg"
    ? await import("npm:@jsquash/jpeg@1.6.0/encode.js")
    : await import("npm:@jsquash/webp@1.5.0/encode.js");
  return encode;
}
