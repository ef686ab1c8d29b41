import { assertEquals, assertRejects } from "@std/assert";
import { BackendError } from "../../src/errors.ts";
import { watchRenderer } from "../../src/worker/watchdog.ts";
import { post, toyApp, ToyRenderer, until } from "../server/toy_renderer.ts";

const BATCH = { pictures: [{ label: 1, seed: 1, guidance: 1 }], steps: 3 };

Deno.test("a renderer that hangs is given up, and one that is slow but goes on is not", async () => {
  const toy = new ToyRenderer();
  const watched = watchRenderer(toy, 0.2);
  toy.hold();
  const slow = watched.render(BATCH);
  for (let step = 0; step < 3; step++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    toy.letGo();
  }
  assertEquals((await slow).latents.dims, [1, 1, 4, 6]);
  await assertRejects(() => watched.render(BATCH), BackendError, "within 0.2 s");
  toy.release();
});

Deno.test("a server goes on with a new renderer in the place of one that hung", async () => {
  const [hangs, works] = [new ToyRenderer(), new ToyRenderer()];
  hangs.hold();
  const app = await toyApp([watchRenderer(hangs, 0.1) as ToyRenderer], {
    reopen: () => Promise.resolve(works),
  });
  const refused = await post(app, "/v1/images/generations", { prompt: "sneaker" });
  assertEquals([refused.status, (await refused.json()).error.code], [503, "backend_failed"]);
  const answer = await post(app, "/v1/images/generations", { prompt: "sneaker" });
  assertEquals([answer.status, works.batches.length], [200, 1]);
  await answer.body?.cancel();
  hangs.release();
  await until(() => hangs.drawing === 0);
});
