/** Scripts of ours in other runtimes: bundled to one file that Node and Bun can run. */
import { BUN } from "./requires.ts";
import { ROOT, runWatched } from "./watched.ts";

const SECONDS = 120; // a bundle takes 1 on a free core

/** Bun itself: killing npx would leave it running. */
export async function findBun(): Promise<string> {
  const script = "console.log(process.execPath)";
  return (await runWatched([...BUN, "-e", script], { seconds: SECONDS })).trim();
}

/**
 * Bundles a script into a folder that git ignores, from where packages resolve to `node_modules` and
 * `../../` is the repository, as it is from the script's own folder.
 */
export async function withBundle<T>(
  script: URL,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const cache = new URL(".cache/", ROOT);
  await Deno.mkdir(cache, { recursive: true });
  const folder = await Deno.makeTempDir({ dir: cache.pathname });
  try {
    const path = `${folder}/bundle.mjs`;
    const external = "--external=npm:onnxruntime-web@*";
    const options = ["--quiet", "--platform", "deno", external, "--output", path];
    const bundle = [Deno.execPath(), "bundle", ...options, script.pathname] as const;
    await runWatched(bundle, { seconds: SECONDS });
    const text = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, text.replace(/"npm:(onnxruntime-web)@[\d.]+/g, '"$1'));
    return await use(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
