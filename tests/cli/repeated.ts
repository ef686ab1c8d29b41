/** Proves that `generate --from` makes a picture again. */
import { assertEquals } from "@std/assert";
import { decode } from "fast-png";
import { readPngText } from "../../src/image/png_text.ts";
import { capturedRun } from "./captured_run.ts";

/** Repeats the PNG of a path on one wasm thread and compares pixels and record. */
export async function expectRepeated(path: string, args: readonly string[] = []): Promise<void> {
  const out = path.replace(/png$/, "again.png");
  const wasm = ["--backend", "wasm", "--threads", "1"];
  const { code, stderr } = await capturedRun(
    "generate",
    "--from",
    path,
    "--out",
    out,
    ...wasm,
    ...args,
  );
  assertEquals(code, 0, stderr);
  const [made, again] = await Promise.all([path, out].map((name) => Deno.readFile(name)));
  assertEquals(readPngText(again!), readPngText(made!), "it says the same of itself");
  const [small, large] = [decode(made!), decode(again!)];
  const scale = large.width / small.width; // the command enlarges small pictures
  const pixels = large.data.filter((_, i) => {
    const pixel = Math.floor(i / large.channels);
    const [x, y] = [pixel % large.width, Math.floor(pixel / large.width)];
    return x % scale === 0 && y % scale === 0;
  });
  assertEquals([...pixels], [...small.data], path);
}
