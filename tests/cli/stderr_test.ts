/** What commands print on stderr beside their own lines: nothing. */
import { assert, assertEquals } from "@std/assert";
import { LOCK, ROOT } from "../_shim/watched.ts";
import { withFolder } from "./captured_run.ts";
import { onFashionDit } from "../fashion_dit.ts";

/** Runs a command as a container without a desktop's session does. */
async function stderrOf(...args: readonly string[]): Promise<string> {
  const env = Deno.env.toObject();
  delete env["XDG_RUNTIME_DIR"];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: ROOT,
    clearEnv: true,
    env: { ...env, NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stderr);
  assert(success, text);
  return text;
}

// deno-fmt-ignore
const RUN = [
  "run", LOCK, "--no-prompt", "--allow-read", "--allow-write", "--allow-env", "--allow-sys", "--allow-ffi",
  "src/cli/main.ts",
] as const;

Deno.test("doctor prints nothing on stderr, whatever the libraries of a GPU complain of", async () => {
  assertEquals(await stderrOf(...RUN, ...onFashionDit(["doctor"])), "");
});

Deno.test("generate prints its own lines on stderr, and no library's", async () => {
  await withFolder(async (folder) => {
    const out = `${folder}/a.png`;
    const text = await stderrOf(
      ...RUN,
      ...onFashionDit(["generate", "--count", "1", "--steps", "2", "--out", out]),
    );
    assert(!/XDG|wayland|^error/im.test(text), text);
  });
});

Deno.test("a first run prints no box of ignored build scripts", async () => {
  await withFolder(async (folder) => { // a place where Deno has not yet warned
    for (const name of ["deno.json", "deno.lock"]) await Deno.copyFile(name, `${folder}/${name}`);
    await Deno.writeTextFile(`${folder}/first.ts`, 'import "onnxruntime-web";\n');
    const text = await stderrOf("run", "--no-prompt", "--allow-all", `${folder}/first.ts`);
    assert(!text.includes("build scripts"), text);
  });
});
