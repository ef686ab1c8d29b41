/**
 * `cached+https://…`: files below a URL prefix, kept in the cache by the etag that their server gives.
 */

import { sha256 } from "npm:@noble/hashes@2.4.0/sha2.js";
import { bytesToHex } from "npm:@noble/hashes@2.4.0/utils.js";
import { z } from "npm:zod@4.6.7";
import { AssetError } from "../../errors.ts";
import { blobKey, type ContentHash } from "../store/content_hash.ts";
import { type RemoteBlob, strongEtag } from "./download.ts";
import { AbsentError, type Answer } from "./hub_request.ts";
import { type HubOptions, KeptFiles, type KeptSource } from "./kept_files.ts";
import { contentRange, plain, urlBelow } from "../store/ranged_response.ts";
import { Interruption } from "../store/retry.ts";
import { checkedPath } from "../source.ts";

/** Opens a URL prefix, `http:` or `https:`; a query is kept for every file. Nothing is asked yet. */
export function openCachedUrl(prefix: string | URL, options: HubOptions = {}): KeptSource {
  const base = new URL(prefix);
  const kept = new KeptFiles(plain(base), options);
  return kept.source({
    find: (path) => findFile(path, urlBelow(base, checkedPath(path).split("/")), kept),
    list: () => Promise.resolve(undefined),
    commit: () => Promise.resolve(undefined),
  });
}

const remembered = z.strictObject({
  format: z.literal(1),
  size: z.int().nonnegative(),
  etag: z.string().max(1000),
  sha256: z.string().regex(/^[0-9a-f]{64}$/).optional(),
});
type Remembered = z.infer<typeof remembered>;

/** What the file is now; what it was last, when the server does not answer or may not be asked. */
async function findFile(
  path: string,
  url: URL,
  kept: KeptFiles,
): Promise<RemoteBlob | undefined> {
  const { offline } = await kept.open();
  const place = `urls/${hashOf(url.href)}.json`;
  const known = await kept.recall(place, remembered);
  const file = offline ? known : await probe(url, kept, { place, known });
  if (file === undefined) return undefined;
  const hash: ContentHash | undefined = file.sha256 === undefined
    ? undefined
    : { kind: "sha256", hex: file.sha256 };
  const key = hash ? blobKey(hash) : `url-${hashOf(`${url.href}\n${file.etag}\n${file.size}`)}`;
  return { url, path, size: file.size, key, hash, etag: file.etag };
}

async function probe(
  url: URL,
  kept: KeptFiles,
  { place, known }: { readonly place: string; readonly known: Remembered | undefined },
): Promise<Remembered | undefined> {
  const range = { offset: 0, length: 1 }; // one byte tells size and etag of the whole
  const tries = known === undefined ? undefined : 1; // there is something to fall back on
  try {
    const file = await kept.ask(url, describe, { range, tries });
    const same = known?.etag === file.etag && known.size === file.size;
    if (!same) await kept.remember(place, JSON.stringify(file));
    return file;
  } catch (error) {
    if (error instanceof AbsentError) return undefined;
    if (known === undefined || !(error instanceof Interruption)) throw error;
    kept.tell(plain(url), `${error.message}; using what is in the cache`);
    return known;
  }
}

function describe({ url, response, linkedHash }: Answer): Remembered {
  const etag = strongEtag(response);
  const length = response.headers.get("content-length");
  const whole = response.status === 200 && length !== null ? Number(length) : undefined;
  const size = response.status === 206 ? contentRange(response)?.size : whole;
  if (etag === undefined || size === undefined) {
    throw new AssetError(
      `Cannot keep ${plain(url)}: its server must tell its size and a strong etag (without ` +
        `cached+ it is read all the same): current value is ${size ?? "no size"}, ${
          response.headers.get("etag") ?? "no etag"
        }`,
    );
  }
  const sha256 = /^[0-9a-f]{64}$/.test(linkedHash ?? "") ? { sha256: linkedHash } : {};
  return { format: 1, size, etag, ...sha256 };
}

function hashOf(text: string): string {
  return bytesToHex(sha256(new TextEncoder().encode(text)));
}
