/** A clone as it is used without its deno.json: by scripts that lie elsewhere. */
import { assertEquals } from "@std/assert";
import { ROOT, runWatched } from "../_shim/watched.ts";

const SECONDS = 120; // takes 3 on a free core

Deno.test("a script in any folder imports the clone's mod.ts", async () => {
  const folder = new URL(`file://${await Deno.makeTempDir()}/`);
  try {
    await Deno.writeTextFile(
      new URL("draw.ts", folder),
      `import { openPipeline } from "${ROOT}mod.ts";
import type { App } from "${ROOT}src/server/mod.ts";
import type { run } from "${ROOT}src/cli/main.ts";

const pipeline = await openPipeline({ backend: "wasm", threads: 1 });
const { latents } = await pipeline.generate({ prompt: "a person", seed: 7, steps: 1 });
await pipeline.close();
console.log(latents.dims.join());
export type Faces = [App, typeof run]; // whose types are checked under its own compiler's options
`,
    );
    const flags = ["--quiet", "--no-prompt", "--check", "--allow-read", "--allow-env"];
    const command = [Deno.execPath(), "run", ...flags, "draw.ts"] as const;
    assertEquals(await runWatched(command, { seconds: SECONDS, cwd: folder }), "1,256,32\n");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
