/** Requests made from `/openapi.json`: none may break the server, whatever they hold. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { createApp } from "../../src/server/app.ts";
import { openLocalRenderer } from "../../src/worker/local_renderer.ts";
import { requestsOf, send } from "./fuzz_requests.ts";
import { tinyModel } from "./tiny_model.ts";

const SEED = 20261124;

Deno.test("5,000 requests made from the OpenAPI document get no 5xx", async () => {
  const tally = await fuzz(5000, { steps: 2, n: 1 });
  assert(tally.drawn > 300, `${tally.drawn} of them were drawn`);
  assert(tally.refused > 1500, `${tally.refused} of them were refused`);
});

Deno.test("50 requests at full limits get no 5xx", async () => {
  const tally = await fuzz(50, { steps: 1000, n: 10 });
  assert(tally.drawn + tally.refused === 50);
});

async function fuzz(
  count: number,
  limits: { readonly steps: number; readonly n: number },
): Promise<{ drawn: number; refused: number }> {
  const renderer = await openLocalRenderer({ model: await tinyModel(), backend: "wasm" });
  const app = createApp({ renderers: [renderer], limits: { ...limits, kept: 5 } });
  await app.loaded;
  const tally = { drawn: 0, refused: 0 };
  try {
    const asks = fc.sample(await requestsOf(app), { numRuns: count, seed: SEED });
    for (const ask of asks) tally[await send(app, ask)]++;
    assertEquals((await app.request("/healthz")).status, 200);
    await app.drain(AbortSignal.abort()); // jobs that nobody waits for
  } finally {
    await renderer.close();
  }
  return tally;
}
