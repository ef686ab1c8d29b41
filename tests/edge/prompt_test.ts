/** A prompt, in every runtime that serves: encoded there, and drawn as the library draws it. */
import { assertEquals } from "@std/assert";
import { openEngine } from "../../src/engine/engine.ts";
import { requires } from "../_shim/requires.ts";
import { Client, pixelsOf } from "./client.ts";
import { SERVER_NEEDS, withServer } from "./servers.ts";

const PEEPS = new URL("../../models/peeps-flux/", import.meta.url);
const PROMPT = "a person with curly hair, sunglasses and a green shirt, light blue background";
const REQUEST = { prompt: PROMPT, seed: 7, steps: 2 };

for (const name of ["deno", "bun", "node", "workerd"] as const) {
  const needs = await requires(`drawing a prompt on ${name}`, ...SERVER_NEEDS[name]);
  Deno.test(`${name} draws a prompt to the last level as the library draws it`, needs, async () => {
    const env = { INVARDIFF_MODEL: PEEPS.pathname, INVARDIFF_BACKEND: "wasm" };
    await withServer(name, async ({ base }) => {
      const client = new Client(base);
      while ((await client.get("/v1/models")).json.error?.code === "model_loading");
      const { json: { data, notices } } = await client.generate(REQUEST);
      assertEquals(pixelsOf(data[0].b64_json), await libraryPixels());
      assertEquals(notices, []);
    }, env);
  });
}

let drawn: readonly number[] | undefined;

async function libraryPixels(): Promise<readonly number[]> {
  if (drawn !== undefined) return drawn;
  const engine = await openEngine({ model: PEEPS, backend: "wasm", threads: 1 });
  const { pictures } = await engine.generate({ ...REQUEST, plan: "none" });
  await engine.close();
  return drawn = [...pictures[0]!.pixels]; // of the one prompt
}
