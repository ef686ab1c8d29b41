/**
 * What the environment says of hubs and of the cache. It is read when a hub is first needed: who names
 * none is asked for no permission.
 */

import { AssetError } from "../../errors.ts";
import type { BlobStore } from "../store/blob_store.ts";
import { openCacheStore } from "../store/chunk_store.ts";
import { openDiskStore } from "../store/disk_store.ts";

/** Where a hub is, as whom we come, and what we may do. */
export interface HubSettings {
  /** Base URL of its routes: `HF_ENDPOINT`, else the public hub. */
  readonly endpoint: URL;
  /** `HF_TOKEN`: sent to the endpoint's origin only. */
  readonly token?: string | undefined;
  /** `HF_HUB_OFFLINE` or `INVARDIFF_OFFLINE`: only what is in the cache. */
  readonly offline: boolean;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** The hub that `hf://` names, unless a mirror is set. */
const PUBLIC_ENDPOINT = "https://huggingface.co";

/**
 * The settings of an environment; of this process unless given. A browser has none.
 *
 * @throws {AssetError} When a variable cannot be read, or the endpoint is no URL.
 */
export function readHubSettings(env: Environment = processEnvironment()): HubSettings {
  const text = env["HF_ENDPOINT"] || PUBLIC_ENDPOINT;
  const endpoint = URL.canParse(text) ? new URL(text) : undefined;
  if (endpoint === undefined || !/^https?:$/.test(endpoint.protocol)) {
    throw new AssetError(
      `Cannot use hub: HF_ENDPOINT must be an http: or https: URL: current value is ${
        JSON.stringify(text.slice(0, 100))
      }`,
    );
  }
  const offline = isOn(env["HF_HUB_OFFLINE"]) || isOn(env["INVARDIFF_OFFLINE"]);
  const token = env["HF_TOKEN"]?.trim();
  return { endpoint, offline, ...(token && { token }) };
}

/**
 * The folder that downloads are kept in: `INVARDIFF_CACHE`, else `invardiff` in the platform's cache
 * folder.
 *
 * @throws {AssetError} When a variable cannot be read, or none says where.
 */
export function cacheFolder(
  platform: string,
  env: Environment = processEnvironment(),
): string {
  const own = env["INVARDIFF_CACHE"];
  if (own) return own.replace(/[/\\]+$/, "") || own;
  const [base, wanted] = platform === "win32"
    ? [env["LOCALAPPDATA"], "LOCALAPPDATA"]
    : platform === "darwin"
    ? [under(env["HOME"], "Library/Caches"), "HOME"]
    : [env["XDG_CACHE_HOME"] || under(env["HOME"], ".cache"), "XDG_CACHE_HOME or HOME"];
  if (base) return `${base}/invardiff`;
  throw new AssetError(
    `Cannot keep downloads: INVARDIFF_CACHE or ${wanted} must be set`,
  );
}

/** The store of this runtime: a folder, or in browsers and workers their cache, or memory. */
export async function openPlatformStore(onFull: () => void): Promise<BlobStore> {
  const onDisk = globalThis.process?.versions?.node !== undefined && !isWorkerd();
  if (!onDisk) return await openCacheStore("invardiff-hub", onFull);
  const { platform } = await import("node:process");
  return openDiskStore(cacheFolder(platform));
}

/** With `nodejs_compat`, workerd tells a version of Node, and has no disk. */
function isWorkerd(): boolean {
  return globalThis.navigator?.userAgent === "Cloudflare-Workers";
}

function under(base: string | undefined, folder: string): string | undefined {
  return base && `${base}/${folder}`;
}

function isOn(text: string | undefined): boolean {
  return /^(1|on|yes|true)$/i.test(text?.trim() ?? "");
}

/** Each variable is read when it is asked for: Deno asks for permission by name. */
function processEnvironment(): Environment {
  return new Proxy<Record<string, string | undefined>>({}, {
    get: (_, name): string | undefined => {
      try {
        return globalThis.process?.env[String(name)];
      } catch (cause) {
        throw new AssetError(
          `Cannot use hub: the process must have permission to read ${String(name)} ` +
            `(Deno: --allow-env=${String(name)})`,
          { cause },
        );
      }
    },
  });
}
