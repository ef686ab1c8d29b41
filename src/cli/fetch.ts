/**
 * `fetch`: a model from a hub or a URL into the cache, for later use without a network or permission to write.
 *
 * @module
 */

import process from "node:process";
import { formatHubLocation } from "../assets/hub_location.ts";
import type { CachedUrl } from "../assets/cached_url.ts";
import type { HubSource } from "../assets/hub_source.ts";
import { modelFiles } from "../assets/model_files.ts";
import { openRemote, type RemoteLocation } from "../assets/remote_location.ts";
import type { Source } from "../assets/source.ts";
import { AssetError } from "../errors.ts";
import { openModel } from "../model/open_model.ts";
import { formatBytes, withDownloads } from "./download_progress.ts";
import { text } from "./option_readers.ts";
import { type Asked, flag, option, table } from "./options.ts";

const location =
  "LOCATION  hf://OWNER/NAME[@REVISION][/SUBFOLDER] or a URL; all that the model needs is taken";

/** The table of `fetch`. */
export const FETCH = table({
  name: "fetch",
  summary: "download a model into the cache",
  options: {
    location: option(text("a location"), location, { operand: true }),
    dryRun: flag("only say which files, and their bytes"),
  },
  notes: `environment: HF_TOKEN, HF_ENDPOINT (a mirror), HF_HUB_OFFLINE or INVARDIFF_OFFLINE,
  INVARDIFF_CACHE (the folder; invardiff in the platform's cache folder)`,
});

/** Runs the command. */
export async function fetchModel(
  { location, dryRun: dry }: Asked<typeof FETCH>,
  signal: AbortSignal,
): Promise<void> {
  const report = await withDownloads(async (onDownload) => {
    // A URL is named as for any program that downloads; elsewhere it is read without being kept.
    const remote = openRemote(location.replace(/^https?:/i, "cached+$&"), { onDownload, signal });
    if (remote === undefined) return refuse(location);
    try {
      if (remote.kind === "hub") return await fetchHub(remote.source, { dry, signal });
      return await fetchUrl(remote, { location, dry, signal });
    } catch (error) {
      if (signal.aborted) process.stderr.write("what has come is kept: fetch goes on there\n");
      throw error;
    } finally {
      await remote.source.close();
    }
  });
  process.stdout.write(report);
}

interface FetchOptions {
  readonly dry: boolean;
  readonly signal: AbortSignal;
}

async function fetchHub(source: HubSource, { dry, signal }: FetchOptions): Promise<string> {
  const files = await source.files();
  const paths = modelFiles(files.keys(), source.location.file);
  if (!paths.some((path) => /\.safetensors$/i.test(path))) {
    throw new AssetError(
      `Cannot fetch ${source.name}: it must have .safetensors files: current value is ` +
        `${files.size} files without any`,
    );
  }
  // Pinned to its commit, so that the same can be had again.
  const name = formatHubLocation({ ...source.location, revision: await source.commit() });
  return await bring(source, { name, paths, dry, signal });
}

/** A URL cannot be listed: what opening the model looks for and finds is what it needs. */
async function fetchUrl(
  { source, file }: RemoteLocation & { readonly kind: "url" },
  { location, dry, signal }: FetchOptions & { readonly location: string },
): Promise<string> {
  if (file === undefined) await (await openModel(unclosed(source))).close();
  else for (const path of [file, "config.json"]) await source.size(path);
  const name = location.replace(/^(?:cached\+)?/i, "cached+");
  return await bring(source, { name, paths: source.found(), dry, signal });
}

/** A model closes its source, which is needed for longer here. */
function unclosed(source: Source): Source {
  return {
    name: source.name,
    size: (path) => source.size(path),
    read: (path, range) => source.read(path, range),
    stream: (path, range, signal) => source.stream(path, range, signal),
    list: () => source.list(),
    close: () => Promise.resolve(),
  };
}

/** Brings files, or lists them; says what they are, how large, and where they lie. */
async function bring(
  source: HubSource | CachedUrl,
  { name, paths, dry, signal }: FetchOptions & {
    readonly name: string;
    readonly paths: readonly string[];
  },
): Promise<string> {
  const began = performance.now();
  const lines: string[] = [];
  let bytes = 0;
  for (const path of paths) {
    const size = (await source.size(path))!; // it was found
    bytes += size;
    if (dry) lines.push(`${formatBytes(size).padStart(10)}  ${path}`);
    else await source.fetch(path, signal);
  }
  lines.push(`${name}: ${paths.length} files, ${formatBytes(bytes)}`);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  if (!dry) lines.push(`in ${await source.keptIn()} after ${seconds} s`);
  return lines.map((line) => `${line}\n`).join("");
}

function refuse(location: string): never {
  throw new AssetError(
    "Cannot fetch: its location must begin with hf://, https:// or http://: current value is " +
      JSON.stringify(location.slice(0, 200)),
  );
}
