/** Node and Bun keep what Deno keeps: the backend suite, and the same latents and pixels for a seed. */
import { assertEquals } from "@std/assert";
import { findBun, withBundle } from "../_shim/bundled.ts";
import { DAWN, requires, SWIFTSHADER } from "../_shim/requires.ts";
import { deno, runWatched } from "../_shim/watched.ts";
import { CHECKS } from "./checks.ts";

interface Digests {
  readonly latents: readonly string[];
  readonly pixels: readonly string[];
  readonly png: readonly [string, string];
}

type Command = [string, ...string[]];

/** How each runtime is started, but for the script. */
const RUNTIMES: readonly { readonly name: "node" | "bun"; start(): Promise<Command> }[] = [
  { name: "node", start: () => Promise.resolve(["node"]) },
  { name: "bun", start: async () => [await findBun()] },
];
const SECONDS = 120; // a suite takes 2 to 5 on two free cores

for (const { name, start } of RUNTIMES) {
  const latents = await requires(`same latents in ${name}`, name, "packages", "bundler");
  Deno.test(`${name} makes the latents and pixels that Deno makes`, latents, async () => {
    const script = new URL("digest_run.ts", import.meta.url);
    const wanted: Digests = JSON.parse(await runWatched(deno(script), { seconds: SECONDS }));
    const digests: Digests = await withBundle(script, async (path) => {
      return JSON.parse(await runWatched([...await start(), path], { seconds: SECONDS }));
    });
    for (const { latents, png } of [wanted, digests]) {
      assertEquals(new Set(latents).size, 3); // of three models
      assertEquals(png[0], png[1]); // one runtime deflates in one way; two may differ
    }
    assertEquals({ ...digests, png: undefined }, { ...wanted, png: undefined });
  });

  const dawn = await requires(`webgpu in ${name}`, name, "packages", "bundler", "dawn");
  Deno.test(`${name} computes attention on WebGPU, through the package of Dawn`, dawn, async () => {
    const script = new URL("run_checks.ts", import.meta.url);
    const part = "attention() mixes values"; // SwiftShader takes minutes for the whole suite
    const printed = await withBundle(script, async (path) => {
      const driver = `VK_ICD_FILENAMES=${SWIFTSHADER}`;
      const command: Command = ["env", driver, ...await start(), path, "webgpu", part];
      return await runWatched(command, { seconds: SECONDS, cwd: new URL(`file://${DAWN}`) });
    });
    const results = printed.trim().split("\n").map((line): unknown => JSON.parse(line));
    const wanted = CHECKS.filter((check) => check.name.includes(part));
    assertEquals(results, wanted.map(({ name }) => ({ name })));
  });

  for (const provider of ["wasm", "native"] as const) {
    const needs = provider === "native" ? (["native"] as const) : [];
    const suite = await requires(
      `${provider} suite in ${name}`,
      name,
      "packages",
      "bundler",
      ...needs,
    );
    Deno.test(`${name} passes the backend suite on ${provider}`, suite, async () => {
      const script = new URL("run_checks.ts", import.meta.url);
      const printed = await withBundle(script, async (path) => {
        return await runWatched([...await start(), path, provider], { seconds: SECONDS });
      });
      const results = printed.trim().split("\n").map((line): unknown => JSON.parse(line));
      assertEquals(results, CHECKS.map(({ name }) => ({ name })));
    });
  }
}
