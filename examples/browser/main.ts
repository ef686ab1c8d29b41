/**
 * The page's script: draws a prompt, in this browser alone. On this thread, for brevity: what is drawn
 * for long belongs into a worker.
 *
 * @module
 */

import { openPipeline } from "@invardiff/edge";

const status = document.querySelector("#status")!; // the page has both
const picture = document.querySelector<HTMLImageElement>("#picture")!;

const pipeline = await openPipeline({
  model: new URL("model/", document.baseURI),
  runtimeFiles: { folder: new URL("ort/", document.baseURI).href },
});
status.textContent = `Drawing with ${pipeline.backend.description}…`;
const { pictures, plan, seconds } = await pipeline.generate({
  prompt: "a person with curly hair, sunglasses and a green shirt, light blue background",
  seed: 7,
  steps: 8,
});
const png = await pictures[0]!.png();
picture.src = URL.createObjectURL(new Blob([png.slice()], { type: "image/png" }));
status.textContent = `${seconds.toFixed(1)} s, plan ${plan?.name ?? "none"}`;
await pipeline.close();
