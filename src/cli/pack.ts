/**
 * `pack`: a model in fewer bytes, as a directory that opens like any other.
 *
 * @module
 */

import { type FileHandle, mkdir, open, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { z } from "zod";
import { parseManifest } from "../assets/manifest.ts";
import { AssetError } from "../errors.ts";
import { type Packed, PACKED_PRECISIONS, packModel } from "../engine/pack.ts";
import { EMBEDDED_MODEL } from "../engine/pipeline.ts";
import { openModel } from "../model/model.ts";
import { precisionText } from "./precision_text.ts";

/** How `pack` is called. */
export const PACK_USAGE = `pack options:
  --out DIR               directory to write; it must not exist
  --weights P             f16 rounds every tensor; int8 and int4 linear layers of modules (int8)
  --model DIR|FILE|URL    the model, a DiT (the embedded fashion-dit)`;

const OPTIONS = {
  out: { type: "string" },
  weights: { type: "string" },
  model: { type: "string" },
} as const;

const schema = z.strictObject({
  out: z.string("must be given").min(1, "must not be empty"),
  weights: z.enum(PACKED_PRECISIONS).default("int8"),
  model: z.exactOptional(z.string().min(1, "must not be empty")),
});

/** Runs the command. */
export async function pack(args: readonly string[], signal: AbortSignal): Promise<void> {
  const { out, weights: precision, model: location } = parsePack(args);
  await expectAbsent(out);
  const model = await openModel(location ?? EMBEDDED_MODEL);
  try {
    const packed = await writeDirectory(
      out,
      (write) => packModel({ model, precision, write, signal }),
    );
    const bytes = packed.bytes + packed.manifest.length;
    const layers = precision === "f16"
      ? precision
      : precisionText({ weights: precision, layers: packed.layers });
    process.stdout.write(
      `${out}: ${(bytes / 2 ** 20).toFixed(2)} MiB (${bytes} bytes), ${layers}\n`,
    );
  } finally {
    await model.close();
  }
}

function parsePack(args: readonly string[]): z.infer<typeof schema> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: false });
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  const { path: [option], message } = parsed.error.issues[0]!; // it failed for something
  const current = Reflect.get(values, String(option)) ?? "absent";
  throw new TypeError(`Cannot pack: --${String(option)}: ${message}: current value is ${current}`);
}

async function expectAbsent(out: string): Promise<void> {
  if (await stat(out).catch(() => undefined) === undefined) return;
  throw new AssetError(`Cannot write ${out}: it must not exist`);
}

/** Writes under another name until all is there: an interrupted run leaves nothing. */
async function writeDirectory(
  out: string,
  make: (write: (bytes: Uint8Array) => Promise<void>) => Promise<Packed>,
): Promise<Packed> {
  const partial = `${out.replace(/[/\\]+$/, "")}.${process.pid}.tmp`;
  await mkdir(dirname(partial), { recursive: true });
  await mkdir(partial);
  try {
    const file = await open(`${partial}/weights.safetensors`, "wx");
    const packed = await make(writerTo(file)).finally(() => file.close());
    parseManifest(JSON.parse(packed.manifest)); // what we write we can read
    await writeFile(`${partial}/model.json`, packed.manifest);
    await rename(partial, out);
    return packed;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

function writerTo(file: FileHandle): (bytes: Uint8Array) => Promise<void> {
  return (bytes) => file.writeFile(bytes);
}
