/**
 * Builds the package for npm into `dist/`: what `deno pack` makes of the sources, with a command for Node.
 *
 * Run: `deno task build:npm [folder URL]`; then `npm install` or `npm publish` the file that it names.
 */

import { findImports } from "../check/scan_source.ts";
import { listFiles } from "../check/working_tree.ts";

const ROOT = new URL("../../", import.meta.url);
const COMMAND = "bin.js";
/** The first Node that imports JSON by attribute, as the bundled plans are. */
const NODE = ">=20.10";
/** Its numbers are what our tests compare, so it is not free to be a newer one. */
const EXACT = "onnxruntime-web";

/** Installed by those who share a queue between servers, and those whose pictures lie in a bucket. */
const OPTIONAL: ReadonlySet<string> = new Set(["bullmq", "ioredis", "pg", "aws4fetch"]);

/** The parts of package.json that we change. */
interface PackageJson {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

/** Builds the package into a folder; where the file is. */
export async function buildPackage(folder: URL): Promise<URL> {
  const work = new URL(`file://${await Deno.makeTempDir()}/`);
  try {
    const packed = new URL("packed.tgz", work).pathname;
    await run(Deno.execPath(), "pack", "--quiet", "--allow-dirty", "--output", packed);
    await run("tar", "-xzf", packed, "-C", work.pathname);
    await complete(new URL("package/", work));
    await Deno.mkdir(folder, { recursive: true });
    const to = ["--pack-destination", folder.pathname];
    const name = await run("npm", "pack", "--silent", ...to, new URL("package", work).pathname);
    return new URL(name.trim(), folder);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** Adds to an unpacked package what `deno pack` cannot know. */
async function complete(folder: URL): Promise<void> {
  const file = new URL("package.json", folder);
  const made: PackageJson = JSON.parse(await Deno.readTextFile(file));
  const json = completePackage(made, await nodeModules(folder));
  await Deno.writeTextFile(file, `${JSON.stringify(json, null, 2)}\n`);
  await Deno.writeTextFile(new URL(COMMAND, folder), SCRIPT);
}

/** The package.json of the published package, from that of `deno pack` and the modules of Node that are imported. */
export function completePackage(
  made: PackageJson,
  nodeModules: readonly string[],
): Readonly<Record<string, unknown>> {
  const exact = made.dependencies[EXACT]!.replace("^", ""); // the engine imports it
  const all = Object.entries(made.dependencies);
  const asked = all.filter(([name]) => OPTIONAL.has(name));
  const needed = all.filter(([name]) => !OPTIONAL.has(name));
  return {
    ...made,
    description: "Diffusion transformers for the web and the edge, sped up by precomputed plans",
    bin: { invardiff: `./${COMMAND}` },
    engines: { node: NODE },
    dependencies: { ...Object.fromEntries(needed), [EXACT]: exact },
    peerDependencies: Object.fromEntries(asked),
    peerDependenciesMeta: Object.fromEntries(asked.map(([name]) => [name, { optional: true }])),
    // Bundlers for browsers leave these out; nothing asks for them there.
    browser: Object.fromEntries(nodeModules.map((name) => [name, false])),
  };
}

/** `node:` modules that the package imports anywhere, sorted. */
async function nodeModules(folder: URL): Promise<string[]> {
  const names = new Set<string>();
  for (const { path } of await listFiles(folder, [])) {
    if (!path.endsWith(".js")) continue;
    const source = await Deno.readTextFile(new URL(path, folder));
    for (const { specifier } of findImports(source)) {
      if (specifier.startsWith("node:")) names.add(specifier);
    }
  }
  return [...names].sort();
}

const SCRIPT = `#!/usr/bin/env node
import { main } from "./src/cli/main.js";

await main();
`;

/** Runs a command in the repository; what it prints. */
async function run(command: string, ...args: readonly string[]): Promise<string> {
  const options = { args: [...args], cwd: ROOT };
  const { success, stdout, stderr } = await new Deno.Command(command, options).output();
  const [printed, said] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!success) throw new Error(`Cannot build the package: ${command} ${args[0]} failed: ${said}`);
  return printed!; // two streams were decoded
}

if (import.meta.main) {
  const file = await buildPackage(new URL(Deno.args[0] ?? "dist/", ROOT));
  console.log(`built ${file.pathname}`);
}
