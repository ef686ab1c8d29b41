/**
 * `pack`: a model in fewer bytes, as a directory that opens like any other.
 */

import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import { parseManifest } from "../assets/manifest.ts";
import { AssetError } from "../errors.ts";
import { type Packed, packModel, type PackTask } from "../engine/pack/pack.ts";
import { KEPT_REASONS, PACKED_PRECISIONS, type PackedLayer } from "../engine/pack/packed_file.ts";
import { EMBEDDED_MODEL } from "../engine/embedded_model.ts";
import { openModel } from "../model/open_model.ts";
import { MODEL } from "./open.ts";
import { choice, text } from "./option_readers.ts";
import { type Asked, option, table } from "./options.ts";
import { OUTPUT_OPTIONS, tell } from "./output.ts";
import { errorsText, nameWithError } from "./precision_text.ts";

const weights =
  "P  f16 rounds every tensor; int8 matrices, tables and convolutions; int4 linear layers";

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
    const { bytes, layers } = packed;
    const report = { model: model.id, weights: precision, bytes, layers };
    const what = `${(bytes / 2 ** 20).toFixed(2)} MiB, ${bytes} bytes`;
    tell({ report, text: layersText(precision, layers), files: [{ path: out, what }] }, output);
  } finally {
    await model.close();
  }
}

async function expectAbsent(out: string): Promise<void> {
  if (await stat(out).catch(() => undefined) === undefined) return;
  throw new AssetError(`Cannot write ${out}: it must not exist`);
}

/** Writes under another name until all is there: an interrupted run leaves nothing. */
async function writeDirectory(out: string, task: Omit<PackTask, "write">): Promise<Packed> {
  const partial = `${out.replace(/[/\\]+$/, "")}.${process.pid}.tmp`;
  await mkdir(partial, { recursive: true });
  const files = new FileWriter(partial);
  try {
    const packed = await packModel({ ...task, write: (path, bytes) => files.write(path, bytes) });
    await files.close();
    parseManifest(JSON.parse(await readFile(`${partial}/model.json`, "utf8"))); // what we write we can read
    await rename(partial, out);
    return packed;
  } catch (error) {
    await files.close();
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

/** Writes files one after another, each in parts. */
class FileWriter {
  #open: { readonly path: string; readonly handle: FileHandle } | undefined;

  constructor(readonly folder: string) {}

  async write(path: string, bytes: Uint8Array): Promise<void> {
    if (this.#open?.path !== path) {
      await this.close();
      await mkdir(dirname(`${this.folder}/${path}`), { recursive: true });
      this.#open = { path, handle: await open(`${this.folder}/${path}`, "wx") };
    }
    await this.#open?.handle.writeFile(bytes);
  }

  async close(): Promise<void> {
    const { handle } = this.#open ?? {};
    this.#open = undefined;
    await handle?.close();
  }
}

/** `weights int8 in 48 of 60 tensors, …`, and for each reason those that stayed in floats. */
function layersText(weights: PackTask["precision"], layers: readonly PackedLayer[]): string {
  if (weights === "f16") return `weights ${weights}\n`;
  const rounded = layers.filter((layer) => layer.rounded);
  const lines = Object.entries(KEPT_REASONS).flatMap(([kept, reason]) => {
    const those = layers.filter((layer) => layer.kept === kept);
    return those.length === 0
      ? []
      : [`in floats    ${reason}: ${those.map(nameWithError).join(", ")}`];
  });
  const share = `${weights} in ${rounded.length} of ${layers.length} tensors of two axes or more`;
  return [[`weights ${share}`, ...errorsText(rounded)].join(", "), ...lines, ""].join("\n");
}
