/** What the README of 0.1.0 showed, word by word, of the model that was its default: it keeps working. */
import { assertEquals } from "@std/assert";
import { encodePng, findPlan, loadPlan, openPipeline, tileGrid, toPictures } from "@invardiff/edge";
import { decode } from "fast-png";
import { FASHION_DIT } from "../fashion_dit.ts";

Deno.test("steps(), generate() and decode() of 0.1.0 make a grid of pictures", async () => {
  const pipeline = await openPipeline({ model: FASHION_DIT, backend: "wasm" });
  const told: string[] = [];
  for await (const { index, steps, seconds } of pipeline.steps({ labels: ["Sneaker"], steps: 3 })) {
    told.push(`step ${index + 1} of ${steps}`);
    assertEquals(seconds > 0, true);
  }
  const { latents } = await pipeline.generate({ labels: ["Bag", "Trouser"], seed: 7, steps: 3 });
  const pictures = toPictures(await pipeline.decode(latents));
  await pipeline.close();
  const png = await encodePng(tileGrid(pictures));
  assertEquals(told, ["step 1 of 3", "step 2 of 3", "step 3 of 3"]);
  assertEquals(pictures.map(({ width, height }) => [width, height]), [[32, 32], [32, 32]]);
  assertEquals(decode(png).width >= 64, true);
  assertEquals(toPictures(latents), pictures); // its latents are pixels
});

Deno.test("findPlan() and loadPlan() of 0.1.0 give plans for generate()", async () => {
  const pipeline = await openPipeline({ model: FASHION_DIT, backend: "wasm" });
  assertEquals((await findPlan(pipeline.model))?.name, "fashion-dit.4x");
  const plan = loadPlan("fashion-dit.ddim25.fast");
  const { steps, loopSeconds } = await pipeline.generate({ labels: ["Dress"], plan });
  await pipeline.close();
  assertEquals([steps, loopSeconds > 0], [25, true]);
});
