/** Our package for npm, in projects of somebody else. */
import { buildPackage } from "../../scripts/build/npm.ts";
import { ROOT, runWatched } from "./watched.ts";

/** Its name. */
export const NAME = "@invardiff/edge";

const SECONDS = 120; // unpacking takes 1 on a free core

/** A folder for a project, which git ignores; packages that it lacks resolve to our `node_modules`. */
export async function withProject<T>(use: (project: URL) => Promise<T>): Promise<T> {
  const cache = new URL(".cache/", ROOT);
  await Deno.mkdir(cache, { recursive: true });
  const project = new URL(`file://${await Deno.makeTempDir({ dir: cache.pathname })}/`);
  try {
    return await use(project);
  } finally {
    await Deno.remove(project, { recursive: true });
  }
}

/** Builds the package and unpacks it where the project finds it; without its dependencies. Returns the folder. */
export async function unpackPackage(project: URL): Promise<URL> {
  const tarball = await buildPackage(project);
  const installed = new URL(`node_modules/${NAME}/`, project);
  await Deno.mkdir(installed, { recursive: true });
  const unpack = ["-xzf", tarball.pathname, "-C", installed.pathname, "--strip-components=1"];
  await runWatched(["tar", ...unpack], { seconds: SECONDS });
  return installed;
}
