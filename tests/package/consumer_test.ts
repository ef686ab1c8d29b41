/** The package as it is published: a project that has nothing else makes the picture that we make. */
import { assertEquals } from "@std/assert";
import { listPublished } from "../../scripts/check/size.ts";
import { findPlan } from "../../src/engine/bundled_plans.ts";
import { openEngine } from "../../src/engine/engine.ts";
import { VERSION } from "../../src/version.ts";
import { findBun } from "../_shim/bundled.ts";
import { NAME, unpackPackage, withProject } from "../_shim/packed.ts";
import { requires } from "../_shim/requires.ts";
import { ROOT, runWatched } from "../_shim/watched.ts";

const SECONDS = 120; // a project takes 5 on a free core

Deno.test("a Deno project that imports what is published, with two permissions, makes our picture", async () => {
  await withConsumer(async (project) => {
    for (const { path } of await listPublished(ROOT)) {
      await copy(new URL(path, ROOT), new URL(`package/${path}`, project));
    }
    // Where JSR resolves, the link is not needed: it stands for the registry.
    const config = { imports: { [NAME]: `jsr:${NAME}@^${VERSION}` }, links: ["./package"] };
    await Deno.writeTextFile(new URL("deno.json", project), JSON.stringify(config));
    const flags = ["--quiet", "--no-prompt", "--allow-read", "--allow-env"];
    await expectOurPicture([Deno.execPath(), "run", ...flags, "consumer.ts"], project);
  });
});

Deno.test({
  ...await requires("a Bun project that imports the package", "bun", "packages"),
  name: "a Bun project that imports the packed package makes our picture",
  fn: async () => {
    await withConsumer(async (project) => {
      await unpackPackage(project);
      await expectOurPicture([await findBun(), "consumer.ts"], project);
    });
  },
});

/** A project with the consumer's program. */
async function withConsumer(use: (project: URL) => Promise<void>): Promise<void> {
  await withProject(async (project) => {
    await copy(new URL("consumer.ts", import.meta.url), new URL("consumer.ts", project));
    await use(project);
  });
}

async function copy(from: URL, to: URL): Promise<void> {
  await Deno.mkdir(new URL("./", to), { recursive: true });
  await Deno.copyFile(from, to);
}

async function expectOurPicture(command: [string, ...string[]], cwd: URL): Promise<void> {
  const printed = await runWatched(command, { seconds: SECONDS, cwd });
  const pipeline = await openEngine({ backend: "wasm", threads: 1 });
  const { latents } = await pipeline.generate({ prompt: "a person", seed: 7, steps: 2 });
  const found = await findPlan(pipeline.model);
  await pipeline.close();
  assertEquals(JSON.parse(printed), {
    plan: found?.name ?? null,
    steps: 25,
    status: 200,
    png: true,
    latents: [...latents.data],
  });
}
