/** What the first run on a fresh machine fetches from npm. */
import { assertEquals } from "@std/assert";
import { requires } from "../_shim/requires.ts";
import { ROOT } from "../_shim/watched.ts";

/** What the engine and the command line import; 36 MB packed with what they need, nearly all onnxruntime-web. */
const IMPORTED = [
  "@huggingface/tokenizers",
  "@noble/hashes",
  "fastest-levenshtein",
  "onnxruntime-web",
  "zod",
];

Deno.test({
  ...await requires("the first run", "registry"),
  name:
    "a first `deno task generate` fetches the engine's packages, and none of tests or the server",
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      const { success, stderr } = await new Deno.Command(Deno.execPath(), {
        args: "task generate --backend wasm --count 1 --steps 1 --out".split(" ")
          .concat(`${folder}/a.png`),
        cwd: ROOT,
        env: { DENO_DIR: `${folder}/cache`, NO_COLOR: "1" },
      }).output();
      assertEquals(success, true, new TextDecoder().decode(stderr));
      const needed = await withDependencies(IMPORTED);
      assertEquals(await cachedPackages(`${folder}/cache/npm`), needed);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** Names of the packages in a cache: folders with an unpacked version, sorted. */
async function cachedPackages(cache: string): Promise<readonly string[]> {
  const names: string[] = [];
  const visit = async (folder: string, name: string): Promise<void> => {
    for await (const { name: entry, isDirectory } of Deno.readDir(folder)) {
      if (!isDirectory) continue;
      if (/^\d/.test(entry)) names.push(name);
      else await visit(`${folder}/${entry}`, name === "" ? entry : `${name}/${entry}`);
    }
  };
  for await (const { name: registry } of Deno.readDir(cache)) {
    await visit(`${cache}/${registry}`, "");
  }
  return names.sort();
}

/** Packages with all that they depend on, by the lock file, sorted. */
async function withDependencies(roots: readonly string[]): Promise<readonly string[]> {
  const { npm }: { npm: Record<string, { dependencies?: string[] }> } = JSON.parse(
    await Deno.readTextFile(new URL("deno.lock", ROOT)),
  );
  const byName = new Map(Object.entries(npm).map(([id, entry]) => [nameOf(id), entry]));
  const found = new Set<string>();
  const waiting = [...roots];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name)) continue;
    found.add(name);
    waiting.push(...byName.get(name)?.dependencies ?? []);
  }
  return [...found].sort();
}

/** `@scope/name@1.0.0_peer@2.0.0` → `@scope/name`. */
function nameOf(id: string): string {
  return id.replace(/(?<=.)@.*/, "");
}
