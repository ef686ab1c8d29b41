/**
 * Packages that are used where a local `node_modules` has them.
 */

import { hasNodeModules } from "./platform.ts";

/** Path of a package in the nearest local `node_modules`; `undefined` when there is none. */
export async function findLocal(name: string): Promise<string | undefined> {
  if (!hasNodeModules()) return undefined;
  try {
    return (await localRequire()).resolve(name);
  } catch {
    return undefined; // absent, or not ours to read
  }
}

/** URL of a package's module that {@link findLocal} found. */
export async function localUrl(name: string): Promise<string> {
  const { pathToFileURL } = await import("node:url");
  return pathToFileURL((await localRequire()).resolve(name)).href;
}

/** `require()` as a script in the current folder has it. */
export async function localRequire(): Promise<NodeJS.Require> {
  const { createRequire } = await import("node:module");
  const { cwd } = await import("node:process");
  return createRequire(`${cwd()}/`);
}
