/**
 * What a test needs beside Deno itself. What is missing is named once, with the command that brings it;
 * with `INVARDIFF_REQUIRE_ALL=1` it is a failed test instead.
 */
import { findAdapter } from "../../src/backend/adapter.ts";
import { readRealPictures, REAL_FOLDER } from "../../scripts/quality/real_pictures.ts";
import { findNative } from "../../src/backend/native.ts";

/** Something that a machine may lack. */
export type Need =
  | "webgpu"
  | "shader-f16"
  | "dawn"
  | "native"
  | "node"
  | "bun"
  | "packages"
  | "registry"
  | "bundler"
  | "chromium"
  | "workerd"
  | "dataset";

/** The browser of the browser tests: Debian's. */
export const CHROMIUM = "/usr/bin/chromium";

/** The Vulkan driver in software that comes with it, for Dawn: it does not take Mesa's of Debian 12. */
export const SWIFTSHADER = "/usr/lib/chromium/vk_swiftshader_icd.json";
/** A folder whose `node_modules` has Dawn for Node, which no other test shall find. */
export const DAWN: string = new URL("../../.cache/dawn/", import.meta.url).pathname;

interface Finder {
  /** What is wrong when it is not there. */
  readonly lack: string;
  /** The command that brings it. */
  readonly command: string;
  find(): Promise<boolean>;
}

/** Runs Bun from npm's cache: no test reaches for the network. */
export const BUN = ["npx", "--offline", "-y", "bun@1.4"] as const;

const INSTALL = "npm install --no-save --no-package-lock --ignore-scripts";
const FINDERS: Readonly<Record<Need, Finder>> = {
  webgpu: {
    lack: "no Vulkan driver",
    command: "apt-get install mesa-vulkan-drivers",
    find: async () => await findAdapter() !== undefined,
  },
  "shader-f16": {
    lack: "no adapter with shader-f16",
    command: "apt-get install mesa-vulkan-drivers",
    find: async () => (await findAdapter())?.float16 === true,
  },
  dawn: {
    lack: "no package webgpu in .cache/dawn, or no Chromium with SwiftShader",
    command: `npm install --prefix .cache/dawn --no-save --ignore-scripts webgpu@0.6.2`,
    find: async () => {
      const found = await Promise.all([SWIFTSHADER, `${DAWN}node_modules/webgpu`].map(isThere));
      return found.every((there) => there);
    },
  },
  native: {
    lack: "no onnxruntime-node in node_modules",
    command: `${INSTALL} onnxruntime-node@1.30.0`,
    find: async () => await findNative() !== undefined,
  },
  node: {
    lack: "no node",
    command: "apt-get install nodejs",
    find: () => runs("node", "--version"),
  },
  bun: {
    lack: "no bun in npm's cache",
    command: "npx -y bun@1.4 --version",
    find: () => runs(...BUN, "--version"),
  },
  packages: {
    lack: "not all of our packages in node_modules",
    command: `${INSTALL} onnxruntime-web@1.30.0 zod@4.6.7 @noble/hashes@2.4.0 hono@4.13.19 ` +
      "fastest-levenshtein@1.0.16 @huggingface/tokenizers@0.2.0",
    find: async () => {
      const names = [
        ...["onnxruntime-web", "zod", "@noble/hashes", "hono", "fastest-levenshtein"],
        "@huggingface/tokenizers",
      ];
      return (await Promise.all(names.map(isInstalled))).every((there) => there);
    },
  },
  registry: {
    lack: "npm's registry does not answer",
    command: "npm ping",
    find: () => runs("npm", "view", "zod@4.6.7", "version", "--fetch-retries=0"),
  },
  chromium: {
    lack: `no ${CHROMIUM}`,
    command: "apt-get install chromium",
    find: () => runs(CHROMIUM, "--version"),
  },
  workerd: {
    lack: "no workerd in node_modules",
    command: `${INSTALL} workerd@1.20261117.1`,
    find: () => isInstalled("workerd"),
  },
  dataset: {
    lack: `no Fashion-MNIST in ${REAL_FOLDER}`,
    command: "apt-get install dataset-fashion-mnist",
    find: async () => await readRealPictures() !== undefined,
  },
  bundler: {
    lack: "deno bundle does not run",
    command: "deno bundle mod.ts -o /dev/null",
    find: () =>
      runs(Deno.execPath(), "bundle", "--quiet", new URL("assert.ts", import.meta.url).pathname),
  },
};

/** Options of a suite's tests: ignored when something is missing. */
export async function requires(suite: string, ...needs: readonly Need[]): Promise<
  { readonly ignore: boolean }
> {
  const missing: Finder[] = [];
  for (const need of needs) if (!await find(need)) missing.push(FINDERS[need]);
  for (const { lack, command } of missing) {
    const line = `skipped: ${suite} — ${lack}; enable with: ${command}`;
    if (Deno.env.get("INVARDIFF_REQUIRE_ALL") === "1") {
      Deno.test(`${suite} can run here`, () => {
        throw new Error(line);
      });
    } else console.log(line);
  }
  return { ignore: missing.length > 0 };
}

/** Whether all of it is here. */
export async function isHere(...needs: readonly Need[]): Promise<boolean> {
  return (await Promise.all(needs.map(find))).every((there) => there);
}

const found = new Map<Need, Promise<boolean>>();

/** Looks once for each need in a test file. */
function find(need: Need): Promise<boolean> {
  const known = found.get(need) ?? FINDERS[need].find();
  found.set(need, known);
  return known;
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function runs(command: string, ...args: readonly string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(command, { args: [...args] }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function isInstalled(name: string): Promise<boolean> {
  try {
    return (await Deno.stat(new URL(`../../node_modules/${name}`, import.meta.url))).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
