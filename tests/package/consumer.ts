/** A program of somebody else, who knows nothing but the package's name. It prints what it got. */
import process from "node:process";
import { encodePng, findPlan, loadPlan, openPipeline, tileGrid, toPictures } from "@invardiff/edge";
import { createApp, openRemoteRenderer } from "@invardiff/edge/server";

const pipeline = await openPipeline({ backend: "wasm", threads: 1 });
const found = await findPlan(pipeline.model);
const { latents } = await pipeline.generate({ prompt: "a person", seed: 7, steps: 2 });
const png = await encodePng(tileGrid(toPictures(await pipeline.decode(latents))));
await pipeline.close();

const renderer = await openRemoteRenderer({ backend: "wasm", threads: 1 });
const app = createApp({ renderers: [renderer] });
await app.loaded;
const { status } = await app.request("/v1/images/generations", {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ prompt: "a person", seed: 7, steps: 1, plan: "none" }),
});
await renderer.close();
const steps = loadPlan("fashion-dit.ddim25.fast").sampler.times.length;
console.log(
  JSON.stringify({
    plan: found?.name ?? null,
    steps,
    status,
    png: png.length > 0,
    latents: [...latents.data],
  }),
);
process.exit(0); // the runtime's threads would keep the process alive
