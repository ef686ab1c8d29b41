/**
 * `fetch`: a model from a hub or a URL into the cache, for later use without a network or permission to write.
 */

import process from "node:process";
import { formatHubLocation, hubHint, parseHubLocation } from "../assets/hub/hub_location.ts";
import type { KeptSource } from "../assets/hub/kept_files.ts";
import { locateKept } from "../assets/location.ts";
import { modelFiles } from "../assets/model_files.ts";
import { AssetError } from "../errors.ts";
import { openModel } from "../model/open_model.ts";
import { expectSupported } from "../model/known_classes.ts";
import { formatBytes, withDownloads } from "./download_progress.ts";
import { text } from "./option_readers.ts";
import { counted, OUTPUT_OPTIONS, type Result, tell } from "./output.ts";
import { type Asked, flag, option, table } from "./options.ts";

const location =
  "LOCATION  hf://OWNER/NAME[@REVISION][/SUBFOLDER] or a URL; all that the model needs is taken";

export const FETCH = table({
  name: "fetch",
  summary: "download a model into the cache",
  options: {
    location: option(text("a location"), location, { operand: true }),
    dryRun: flag("only say which files, and their bytes; descriptions are read"),
    ...OUTPUT_OPTIONS,
  },
  notes: `environment: HF_TOKEN, HF_ENDPOINT (a mirror), HF_HUB_OFFLINE or INVARDIFF_OFFLINE,
  INVARDIFF_CACHE (the folder; invardiff in the platform's cache folder)`,
});

export async function fetchModel(
  { location, dryRun: dry, ...output }: Asked<typeof FETCH>,
  signal: AbortSignal,
): Promise<void> {
  const began = performance.now();
  const result = await withDownloads(async (onDownload) => {
    // A URL is named as for any program that downloads; elsewhere it is read without being kept.
    const kept = locateKept(location.replace(/^https?:/i, "cached+$&"), { onDownload, signal });
    const { source, file } = kept ?? refuse(location);
    try {
      const paths = await modelFiles(source, { file, checkDescription: expectSupported });
      // Its headers come first: what does not open is not brought.
      if (!dry) await (await openModel(unclosed(source), { file, signal })).close();
      const name = await nameOf(source, location);
      return await bring(source, { name, paths, dry, began, signal });
    } catch (error) {
      if (signal.aborted) {
        process.stderr.write("what was downloaded is kept: the next fetch continues from there\n");
      }
      throw error;
    } finally {
      await source.close();
    }
  }, output);
  tell(result, output);
}

/** Names the same files again, if a hub has them: at their commit. */
async function nameOf(source: KeptSource, location: string): Promise<string> {
  const revision = await source.commit();
  if (revision === undefined) return location.replace(/^(?:cached\+)?/i, "cached+");
  return formatHubLocation({ ...parseHubLocation(location), revision });
}

/** A model closes its source, which is needed for longer here. */
function unclosed(source: KeptSource): KeptSource {
  return { ...source, close: () => Promise.resolve() };
}

/** Brings files, or lists them; says what they are, how large, and where they lie. */
async function bring(
  source: KeptSource,
  { name, paths, dry, began, signal }: {
    readonly name: string;
    readonly paths: readonly string[];
    readonly dry: boolean;
    readonly began: number;
    readonly signal: AbortSignal;
  },
): Promise<Result> {
  const files: { readonly path: string; readonly bytes: number }[] = [];
  for (const path of paths) {
    files.push({ path, bytes: (await source.size(path))! }); // it was found
    if (!dry) await source.fetch(path, signal);
  }
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const seconds = (performance.now() - began) / 1000;
  const folder = dry ? undefined : await source.keptIn();
  const list = files.map(({ path, bytes }) => `${formatBytes(bytes).padStart(10)}  ${path}\n`);
  const kept = `in ${folder} after ${seconds.toFixed(1)} s\n`;
  const summary = `${name}: ${counted(paths.length, "file")}, ${formatBytes(bytes)}\n`;
  const text = dry ? list.join("") + summary : summary + kept;
  return { report: { model: name, files, bytes, folder, seconds }, text };
}

function refuse(location: string): never {
  throw new AssetError(
    `Cannot fetch: its location must begin with hf://, https:// or http://: current value is ${
      JSON.stringify(location.slice(0, 200))
    }${hubHint(location)}`,
  );
}
