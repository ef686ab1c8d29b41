/** What the environment tells the service, and how it ends. */
import { assertEquals } from "@std/assert";
import { encodeSafetensors } from "../../src/assets/formats/safetensors_writer.ts";
import { joinBytes } from "../../src/tensor/bytes.ts";
import { fluxConditions, fluxPipelineFiles } from "../engine/pipeline_files.ts";
import { LOCK, ROOT } from "../_shim/watched.ts";
import { Client } from "./client.ts";
import { withServer } from "./servers.ts";

const ENV = {
  INVARDIFF_MODEL: new URL("tests/golden/dit-a/", ROOT).pathname,
  INVARDIFF_BACKEND: "wasm",
  INVARDIFF_API_KEYS: "the-first-long-key, the-second-long-key",
};

Deno.test("the service takes model, provider and keys from the environment, and SIGTERM ends it well", async () => {
  await withServer("deno", async ({ base, stop }) => {
    const client = new Client(base);
    assertEquals((await client.get("/healthz")).status, 200);
    const headers = { authorization: "Bearer the-second-long-key" };
    while ((await client.get("/v1/models", { headers })).status === 503);
    assertEquals((await client.get("/v1/models")).status, 401);
    const { data: [model] } = (await client.get("/v1/models", { headers })).json;
    assertEquals([model.id, model.backend.name], ["dit-a", "wasm"]);
    assertEquals(await stop(), 0);
  }, ENV);
});

Deno.test("the service draws a model of text by the conditions of a file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const [path, bytes] of await fluxPipelineFiles()) {
      await Deno.mkdir(`${folder}/flux/${path}/..`, { recursive: true });
      await Deno.writeFile(`${folder}/flux/${path}`, bytes);
    }
    const { text, pooled, imageIds } = await fluxConditions();
    const tensors = new Map([["text", text!], ["pooled", pooled!], ["image_ids", imageIds!]]);
    const prompts = JSON.stringify(["a tower", "two boats", "fog"]);
    const file = joinBytes([...encodeSafetensors(tensors, { prompts })]);
    await Deno.writeFile(`${folder}/conditions.safetensors`, file);
    await withServer("deno", async ({ base, stop }) => {
      const client = new Client(base);
      while ((await client.get("/v1/models")).status === 503);
      const { data: [model] } = (await client.get("/v1/models")).json;
      assertEquals([model.architecture, model.classes[1].name], ["flux", "two boats"]);
      assertEquals(await stop(), 0);
    }, {
      INVARDIFF_MODEL: `${folder}/flux`,
      INVARDIFF_CONDITIONS: `${folder}/conditions.safetensors`,
      INVARDIFF_BACKEND: "wasm",
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a service of Bun's that others reach warns where it has no keys", async () => {
  for (
    const [env, warns] of [
      [{ HOST: "0.0.0.0" }, true],
      [{ HOST: "0.0.0.0", INVARDIFF_API_KEYS: "the-first-long-key" }, false],
      [{ HOST: "127.0.0.1" }, false],
    ] as const
  ) {
    // It loads no model: what it says before it does is all that counts.
    const script = `await import("./src/edge/bun.ts"); Deno.exit(0);`;
    const { stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", LOCK, script],
      cwd: ROOT,
      env: { ...env, INVARDIFF_MODEL: "/nowhere", INVARDIFF_BACKEND: "wasm", NO_COLOR: "1" },
    }).output();
    assertEquals(new TextDecoder().decode(stderr).includes("warning: everyone"), warns, env.HOST);
  }
});

Deno.test("the service refuses a provider that there is not", async () => {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", LOCK, "--no-prompt", "--allow-read", "--allow-env", "src/edge/deno.ts"],
    cwd: ROOT,
    env: { INVARDIFF_BACKEND: "abacus", NO_COLOR: "1" },
  }).output();
  const said = new TextDecoder().decode(stderr);
  assertEquals([code, said.includes("current value is abacus")], [1, true]);
});
