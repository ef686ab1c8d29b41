/**
 * `pack`: a model in fewer bytes, as a directory that opens like any other.
 */

import { mkdir, open, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import { parseManifest } from "../assets/manifest.ts";
import { AssetError } from "../errors.ts";
import {
  type Packed,
  PACKED_PRECISIONS,
  packFloats,
  packModel,
  type PackTask,
} from "../engine/pack.ts";
import { EMBEDDED_MODEL } from "../engine/embedded_model.ts";
import { openModel } from "../model/open_model.ts";
import { MODEL } from "./open.ts";
import { choice, text } from "./option_readers.ts";
import { type Asked, option, table } from "./options.ts";
import { OUTPUT_OPTIONS, tell } from "./output.ts";
import { precisionText } from "./precision_text.ts";

const weights = "P  f16 rounds every tensor; int8 and int4 linear layers of modules";

export const PACK = table({
  name: "pack",
  summary: "write a model in fewer bytes, as a directory that opens like any other",
  options: {
    out: option(text("a directory"), "DIR  to write; it must not exist", { required: true }),
    weights: option(choice(PACKED_PRECISIONS), weights, { or: "int8" }),
    model: MODEL,
    ...OUTPUT_OPTIONS,
  },
});

export async function pack(
  { out, weights: precision, model: location, ...output }: Asked<typeof PACK>,
  signal: AbortSignal,
): Promise<void> {
  await expectAbsent(out);
  const model = await openModel(location ?? EMBEDDED_MODEL);
  try {
    const packed = await writeDirectory(out, { model, precision, signal });
    const { bytes } = packed;
    const layers = precision === "f16"
      ? precision
      : precisionText({ weights: precision, layers: packed.layers });
    const report = { model: model.id, weights: precision, bytes, layers: packed.layers };
    const what = `${(bytes / 2 ** 20).toFixed(2)} MiB, ${bytes} bytes`;
    tell({ report, text: `weights ${layers}\n`, files: [{ path: out, what }] }, output);
  } finally {
    await model.close();
  }
}

async function expectAbsent(out: string): Promise<void> {
  if (await stat(out).catch(() => undefined) === undefined) return;
  throw new AssetError(`Cannot write ${out}: it must not exist`);
}

/** Writes under another name until all is there: an interrupted run leaves nothing. */
async function writeDirectory(
  out: string,
  { model, ...task }: Omit<PackTask, "write">,
): Promise<Packed> {
  const partial = `${out.replace(/[/\\]+$/, "")}.${process.pid}.tmp`;
  await mkdir(dirname(partial), { recursive: true });
  await mkdir(partial);
  try {
    const packed = await writing(
      `${partial}/weights.safetensors`,
      (write) => packModel({ model, ...task, write }),
    );
    parseManifest(JSON.parse(packed.manifest)); // what we write we can read
    await writeFile(`${partial}/model.json`, packed.manifest);
    const beside = await writeAutoencoder(`${partial}/vae`, { model, ...task });
    await rename(partial, out);
    return { ...packed, bytes: packed.bytes + packed.manifest.length + beside };
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

/** The autoencoder, if there is one, as diffusers has it. Returns its bytes. */
async function writeAutoencoder(
  folder: string,
  { model: { autoencoder, autoencoderError }, ...task }: Omit<PackTask, "write">,
): Promise<number> {
  if (autoencoderError !== undefined) throw autoencoderError;
  if (autoencoder === undefined) return 0;
  const { config, weights } = autoencoder;
  await mkdir(folder);
  const json = JSON.stringify(config, null, 2) + "\n";
  await writeFile(`${folder}/config.json`, json);
  const path = `${folder}/diffusion_pytorch_model.safetensors`;
  return json.length + await writing(path, (write) => packFloats(weights, { ...task, write }));
}

/** Writes a new file in parts. */
async function writing<T>(
  path: string,
  make: (write: PackTask["write"]) => Promise<T>,
): Promise<T> {
  const file = await open(path, "wx");
  return await make((bytes) => file.writeFile(bytes)).finally(() => file.close());
}
