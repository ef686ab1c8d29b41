/**
 * Which files a hub has at a revision: asked for once per commit, then remembered.
 *
 * @module
 */

import { z } from "zod";
import { AssetError } from "../../errors.ts";
import type { BlobStore } from "../store/blob_store.ts";
import type { ContentHash } from "../store/content_hash.ts";
import type { DownloadEvent } from "./download_meter.ts";
import { encodeRevision, type HubLocation, isCommit } from "./hub_location.ts";
import { askJson, type HubAccess } from "./hub_request.ts";
import { checkJson, parseJson } from "../json.ts";
import { Interruption, persist } from "../store/retry.ts";

/** A file of a repository. */
export interface HubFile {
  /** Its path in the repository. */
  readonly path: string;
  /** Its size in bytes. */
  readonly size: number;
  /** What its bytes hash to. */
  readonly hash: ContentHash;
}

/** A repository at a commit. */
export interface HubIndex {
  /** The commit. */
  readonly commit: string;
  /** Its files by path. */
  readonly files: ReadonlyMap<string, HubFile>;
}

/** How it is found. */
export interface IndexOptions {
  /** How the hub is reached. */
  readonly access: HubAccess;
  /** Only what is remembered. */
  readonly offline: boolean;
  /** Where it is remembered. */
  readonly store: BlobStore;
  /** Hears of retries and of answers that come from the cache. */
  readonly onDownload?: ((event: DownloadEvent) => void) | undefined;
  /** Stops it. */
  readonly signal?: AbortSignal | undefined;
}

/** Listings have a page for every thousand files. */
const MOST_PAGES = 100;

const commitOf = z.object({ sha: z.string().regex(/^[0-9a-f]{40}$/) });
const hex = (digits: number): z.ZodString => z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`));
const entry = z.object({
  type: z.string(),
  path: z.string().min(1).max(4096),
  size: z.int().nonnegative(),
  oid: hex(40),
  lfs: z.object({ oid: hex(64), size: z.int().nonnegative() }).nullish(),
});
const page = z.array(entry).max(100_000);
const remembered = z.strictObject({
  format: z.literal(1),
  files: z.array(z.strictObject({
    path: z.string().min(1),
    size: z.int().nonnegative(),
    hash: z.discriminatedUnion("kind", [
      z.strictObject({ kind: z.literal("sha256"), hex: hex(64) }),
      z.strictObject({ kind: z.literal("git"), hex: hex(40) }),
    ]),
  })),
});

/**
 * Finds the commit that a revision means now and its files. A commit that is remembered needs no
 * request; a branch needs one, and means what it meant last when the network is down.
 *
 * @throws {AssetError} When it is not there, may not be read, or nobody answers and nothing is remembered.
 */
export async function findIndex(location: HubLocation, options: IndexOptions): Promise<HubIndex> {
  const commit = await findCommit(location, options);
  const path = `index/${folderOf(location, options)}/${commit}.json`;
  const known = await recall(path, options);
  if (known !== undefined) return { commit, files: known };
  if (options.offline) throw missing(location, `the files of commit ${commit}`);
  const files = await listFiles(location, commit, options);
  await remember(path, JSON.stringify({ format: 1, files: [...files.values()] }), options);
  return { commit, files };
}

async function findCommit(location: HubLocation, options: IndexOptions): Promise<string> {
  const { revision, owner, name } = location;
  if (isCommit(revision)) return revision;
  const path = `refs/${folderOf(location, options)}/${encodeRevision(revision)}`;
  const text = (await options.store.readText(path))?.trim();
  const known = text !== undefined && isCommit(text) ? text : undefined;
  if (options.offline) return known ?? fail(missing(location, `revision ${revision}`));
  const url = apiUrl(options, owner, name, "revision", revision);
  try {
    // Once, where there is something to fall back on: nobody waits half a minute on a train.
    const { json } = await persistently(url, options, known === undefined ? undefined : 1);
    const { sha } = checkJson(json, commitOf, `revision ${revision} of ${owner}/${name}`);
    if (sha !== known) await remember(path, sha, options);
    return sha;
  } catch (error) {
    if (known === undefined || !(error instanceof Interruption)) throw error;
    notice(
      options,
      `${owner}/${name}`,
      `${error.message}; using commit ${known} of ${revision}, which is in the cache`,
    );
    return known;
  }
}

async function listFiles(
  { owner, name }: HubLocation,
  commit: string,
  options: IndexOptions,
): Promise<ReadonlyMap<string, HubFile>> {
  const files = new Map<string, HubFile>();
  let url: URL | undefined = apiUrl(options, owner, name, "tree", commit);
  url.searchParams.set("recursive", "1");
  for (let pages = 0; url !== undefined; pages++) {
    if (pages === MOST_PAGES) {
      throw new AssetError(
        `Cannot list ${owner}/${name}: it must have at most ${MOST_PAGES} pages`,
      );
    }
    const { json, answer } = await persistently(url, options);
    for (
      const { type, path, size, oid, lfs } of checkJson(json, page, `files of ${owner}/${name}`)
    ) {
      if (type !== "file") continue;
      const hash: ContentHash = lfs ? { kind: "sha256", hex: lfs.oid } : { kind: "git", hex: oid };
      files.set(path, { path, size: lfs?.size ?? size, hash });
    }
    url = nextPage(url, answer.response.headers.get("link"));
  }
  return files;
}

/** `<url>; rel="next"`, on the same origin. */
function nextPage(from: URL, link: string | null): URL | undefined {
  const text = /<([^<>]+)>\s*;\s*rel="next"/.exec(link ?? "")?.[1];
  if (text === undefined || !URL.canParse(text, from)) return undefined;
  const next = new URL(text, from);
  if (next.origin === from.origin) return next;
  throw new AssetError(
    `Cannot list ${from.origin}${from.pathname}: its next page must be on the same server: ` +
      `current value is ${next.origin}`,
  );
}

async function persistently(
  url: URL,
  options: IndexOptions,
  tries?: number,
): ReturnType<typeof askJson> {
  const { access, signal } = options;
  return await persist(() => askJson(url, { ...access, signal }), {
    clock: access.clock,
    signal,
    ...(tries !== undefined && { tries }),
    onRetry: ({ message }, milliseconds) =>
      notice(
        options,
        url.pathname,
        `${message}; trying again in ${(milliseconds / 1000).toFixed(1)} s`,
      ),
  });
}

/** A route below the endpoint; every part is one part of the path. */
export function hubUrl(endpoint: URL, ...parts: readonly string[]): URL {
  const url = new URL(endpoint);
  url.pathname = [url.pathname.replace(/\/$/, ""), ...parts.map(encodeURIComponent)].join("/");
  return url;
}

function apiUrl({ access }: IndexOptions, owner: string, name: string, ...parts: string[]): URL {
  return hubUrl(access.endpoint, "api", "models", owner, name, ...parts);
}

/** By endpoint too: what one mirror says of a commit is not what another says. */
function folderOf({ owner, name }: HubLocation, { access: { endpoint } }: IndexOptions): string {
  return `${encodeURIComponent(endpoint.host)}/${owner}/${name}`;
}

/** A listing that was kept; a damaged one counts as none. */
async function recall(
  path: string,
  { store }: IndexOptions,
): Promise<HubIndex["files"] | undefined> {
  const text = await store.readText(path);
  if (text === undefined) return undefined;
  try {
    const json = parseJson(new TextEncoder().encode(text), path);
    const { files } = checkJson(json, remembered, path);
    return new Map(files.map((file) => [file.path, file]));
  } catch (error) {
    if (error instanceof AssetError) return undefined;
    throw error;
  }
}

/** What a read-only cache cannot take is asked for again next time. */
async function remember(path: string, text: string, options: IndexOptions): Promise<void> {
  try {
    await options.store.writeText(path, text);
  } catch (error) {
    if (!(error instanceof AssetError)) throw error;
    notice(options, path, error.message);
  }
}

function notice({ onDownload }: IndexOptions, path: string, text: string): void {
  onDownload?.({ kind: "notice", path, text });
}

function missing({ owner, name }: HubLocation, what: string): AssetError {
  return new AssetError(
    `Cannot read ${what} of ${owner}/${name} offline: it must be in the cache: ` +
      "current value is absent",
  );
}

function fail(error: AssetError): never {
  throw error;
}
