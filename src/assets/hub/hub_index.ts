/**
 * Which files a hub has at a revision: asked for once per commit, then remembered.
 */

import { z } from "npm:zod@4.6.7";
import { AssetError } from "../../errors.ts";
import type { ContentHash } from "../store/content_hash.ts";
import { type HubLocation, isCommit } from "./hub_location.ts";
import { readJsonAnswer } from "./hub_request.ts";
import { checkJson } from "../json.ts";
import type { KeptFiles } from "./kept_files.ts";
import { urlBelow } from "../store/ranged_response.ts";
import { Interruption } from "../store/retry.ts";

export interface HubFile {
  readonly path: string;
  readonly size: number;
  /** What its bytes hash to. */
  readonly hash: ContentHash;
}

/** A repository at a commit. */
export interface HubIndex {
  readonly commit: string;
  readonly files: ReadonlyMap<string, HubFile>;
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
 * @throws {AssetError} When it is not there, may not be read, or there is no answer and nothing is remembered.
 */
export async function findIndex(location: HubLocation, kept: KeptFiles): Promise<HubIndex> {
  const { access: { endpoint }, offline } = await kept.open();
  const repository = { ...location, endpoint, offline };
  const commit = await findCommit(repository, kept);
  const path = `index/${folderOf(repository)}/${commit}.json`;
  const known = await kept.recall(path, remembered);
  if (known === undefined && offline) missing(location, `the files of commit ${commit}`);
  const files = known?.files ?? await listFiles(repository, commit, kept);
  if (known === undefined) await kept.remember(path, JSON.stringify({ format: 1, files }));
  return { commit, files: new Map(files.map((file) => [file.path, file])) };
}

/** A location on the hub that is asked, if it may be. */
interface Repository extends HubLocation {
  readonly endpoint: URL;
  readonly offline: boolean;
}

async function findCommit(repository: Repository, kept: KeptFiles): Promise<string> {
  const { revision, owner, name } = repository;
  if (isCommit(revision)) return revision;
  const path = `refs/${folderOf(repository)}/${encodeURIComponent(revision)}`;
  const text = (await kept.readText(path))?.trim();
  const known = text !== undefined && isCommit(text) ? text : undefined;
  if (repository.offline) return known ?? missing(repository, `revision ${revision}`);
  const url = apiUrl(repository, "revision", revision);
  try {
    // Once, where there is something to fall back on: do not wait half a minute when offline.
    const tries = known === undefined ? undefined : 1;
    const { json } = await kept.ask(url, readJsonAnswer, { tries });
    const { sha } = checkJson(json, commitOf, `revision ${revision} of ${owner}/${name}`);
    if (sha !== known) await kept.remember(path, sha);
    return sha;
  } catch (error) {
    if (known === undefined || !(error instanceof Interruption)) throw error;
    const text = `${error.message}; using commit ${known} of ${revision}, which is in the cache`;
    kept.tell(`${owner}/${name}`, text);
    return known;
  }
}

async function listFiles(
  repository: Repository,
  commit: string,
  kept: KeptFiles,
): Promise<readonly HubFile[]> {
  const thing = `${repository.owner}/${repository.name}`;
  const files: HubFile[] = [];
  let url: URL | undefined = apiUrl(repository, "tree", commit);
  url.searchParams.set("recursive", "1");
  for (let pages = 0; url !== undefined; pages++) {
    if (pages === MOST_PAGES) {
      throw new AssetError(`Cannot list ${thing}: it must have at most ${MOST_PAGES} pages`);
    }
    const { json, response } = await kept.ask(url, readJsonAnswer);
    for (const { type, path, size, oid, lfs } of checkJson(json, page, `files of ${thing}`)) {
      if (type !== "file") continue;
      const hash: ContentHash = lfs ? { kind: "sha256", hex: lfs.oid } : { kind: "git", hex: oid };
      files.push({ path, size: lfs?.size ?? size, hash });
    }
    url = nextPage(url, response.headers.get("link"));
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

function apiUrl({ endpoint, owner, name }: Repository, ...parts: readonly string[]): URL {
  return urlBelow(endpoint, ["api", "models", owner, name, ...parts]);
}

/** By endpoint too: what one mirror says of a commit is not what another says. */
function folderOf({ endpoint, owner, name }: Repository): string {
  return `${encodeURIComponent(endpoint.host)}/${owner}/${name}`;
}

function missing({ owner, name }: HubLocation, what: string): never {
  throw new AssetError(
    `Cannot read ${what} of ${owner}/${name} offline: it must be in the cache: ` +
      "current value is absent",
  );
}
