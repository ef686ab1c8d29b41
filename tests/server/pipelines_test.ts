/** Models with autoencoders behind the server: what is sent is pictures. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { type App, createApp } from "../../src/server/app.ts";
import { openLocalRenderer } from "../../src/worker/local_renderer.ts";
import type { Renderer } from "../../src/worker/renderer.ts";
import { fluxConditions, fluxPipelineFiles, pipelineFiles } from "../engine/pipeline_files.ts";

Deno.test("a DiT's pipeline directory is served by the names of its classes, in its pictures' size", async () => {
  const renderer = await openLocalRenderer({ backend: "wasm", model: await pipelineFiles() });
  await serving(renderer, async (app) => {
    const drawn = await ask(app, { prompt: "class 3", steps: 3, seed: 1, size: "32x32" });
    assertEquals(drawn.status, 200);
    const { data, size } = await drawn.json();
    assertEquals([pngSize(data[0].b64_json), size], [[32, 32], "32x32"]);
    const small = await ask(app, { prompt: "class 3", size: "8x8" });
    const answer = await small.json();
    assertEquals(answer.size, "32x32");
    assertStringIncludes(answer.notices[0], "The size is 32x32, the nearest to ");
    const stream = await ask(app, { label: 1, steps: 3, stream: true, partial_images: 2 });
    const events = [...(await stream.text()).matchAll(/"b64_json":"([^"]+)"/g)];
    assertEquals(events.map(([, text]) => pngSize(text!)), [[8, 8], [8, 8], [32, 32]]);
  });
});

Deno.test("a FLUX's pipeline directory is served by the prompts that it was given", async () => {
  const renderer = await openLocalRenderer({
    backend: "wasm",
    model: await fluxPipelineFiles(),
    conditions: { ...await fluxConditions(), names: ["a tower", "two boats", "fog"] },
  });
  await serving(renderer, async (app) => {
    const drawn = await ask(app, { prompt: "Two boats", steps: 2, seed: 1 });
    assertEquals(drawn.status, 200);
    const { data, size, guidance_scale } = await drawn.json();
    assertEquals([pngSize(data[0].b64_json), size, guidance_scale], [[32, 48], "32x48", 3.5]);
    const unknown = await ask(app, { prompt: "a castle" });
    assertEquals(unknown.status, 400);
    assertStringIncludes((await unknown.json()).error.message, "a tower");
  });
});

Deno.test("a FLUX without conditions has nothing to generate from, and says so", async () => {
  const renderer = await openLocalRenderer({ backend: "wasm", model: await fluxPipelineFiles() });
  await serving(renderer, async (app) => {
    const refused = await ask(app, { prompt: "fog" });
    assertEquals(refused.status, 400);
    assertStringIncludes(
      (await refused.json()).error.message,
      "needs conditions (serve --conditions FILE)",
    );
  });
});

async function serving(renderer: Renderer, use: (app: App) => Promise<void>): Promise<void> {
  const app = createApp({ renderers: [renderer], plans: [] });
  try {
    await app.loaded;
    await use(app);
  } finally {
    await app.drain();
    await renderer.close();
  }
}

async function ask(app: App, body: Readonly<Record<string, unknown>>): Promise<Response> {
  return await app.request("/v1/images/generations", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

/** Width and height of a PNG, from its first chunk. */
function pngSize(base64: string): readonly [number, number] {
  const view = new DataView(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer);
  return [view.getUint32(16), view.getUint32(20)];
}
