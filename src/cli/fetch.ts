/**
 * `fetch`: a model from a hub into the cache, for later use without a network or permission to write.
 *
 * @module
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { formatHubLocation } from "../assets/hub_location.ts";
import { type HubSource, openHub } from "../assets/hub_source.ts";
import { modelFiles } from "../assets/model_files.ts";
import { AssetError } from "../errors.ts";
import { formatBytes, withDownloads } from "./download_progress.ts";

/** How `fetch` is called. */
export const FETCH_USAGE =
  `fetch hf://OWNER/NAME[@REVISION][/SUBFOLDER]: all that the model needs; options:
  --dry-run               only say which files, and their bytes
environment: HF_TOKEN, HF_ENDPOINT (a mirror), HF_HUB_OFFLINE or INVARDIFF_OFFLINE,
  INVARDIFF_CACHE (the folder; invardiff in the platform's cache folder)`;

/** Runs the command. */
export async function fetchModel(args: readonly string[], signal: AbortSignal): Promise<void> {
  const options = { "dry-run": { type: "boolean" } } as const;
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [location, ...more] = positionals;
  if (location === undefined || more.length > 0) {
    throw new TypeError(
      `Cannot fetch: there must be one location: current value is ${positionals.length} of them`,
    );
  }
  const text = await withDownloads(async (onDownload) => {
    const source = openHub(location, { onDownload, signal });
    try {
      const paths = await wantedOf(source, location);
      return values["dry-run"] === true
        ? await describe(source, paths)
        : await bring(source, paths, signal);
    } finally {
      await source.close();
    }
  });
  process.stdout.write(text);
}

async function wantedOf(source: HubSource, location: string): Promise<readonly string[]> {
  const files = await source.files();
  const paths = modelFiles(files.keys(), source.location.file);
  if (paths.some((path) => /\.safetensors$/i.test(path))) return paths;
  throw new AssetError(
    `Cannot fetch ${location}: it must have .safetensors files: current value is ${files.size} ` +
      "files without any",
  );
}

async function describe(source: HubSource, paths: readonly string[]): Promise<string> {
  const files = await source.files();
  const lines = paths.map((path) =>
    `${formatBytes(files.get(path)!.size).padStart(10)}  ${path}\n`
  ); // listed
  return [...lines, `${await summary(source, paths)}\n`].join("");
}

async function bring(
  source: HubSource,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const began = performance.now();
  for (const path of paths) await source.fetch(path, signal);
  const seconds = (performance.now() - began) / 1000;
  return `${await summary(source, paths)}\nin ${await source.keptIn()} after ${
    seconds.toFixed(1)
  } s\n`;
}

/** What it is, pinned to its commit, so that it can be had again. */
async function summary(source: HubSource, paths: readonly string[]): Promise<string> {
  const files = await source.files();
  const bytes = paths.reduce((sum, path) => sum + files.get(path)!.size, 0); // listed
  const pinned = formatHubLocation({ ...source.location, revision: await source.commit() });
  return `${pinned}: ${paths.length} files, ${formatBytes(bytes)}`;
}
