/**
 * Makes a plan for a model of your own and compares it with full computation.
 *
 *     deno run -A examples/calibrate/main.ts hf://OWNER/NAME plan.json
 *
 * Then `generate({ plan })`, or `--plan plan.json` on the command line. A text-conditioned model is
 * calibrated on `conditions` instead of `runs`.
 *
 * @module
 */

import { EMBEDDED_MODEL, formatPlan, openPipeline } from "@invardiff/edge";
import { calibrate, compare } from "@invardiff/edge/calibrate";

const [model = EMBEDDED_MODEL, file = "plan.json"] = Deno.args;
const pipeline = await openPipeline(model);
try {
  const plan = await calibrate(pipeline, {
    mode: "guided", // `search` finds better plans, by `targetSpeedup`, and measures for longer
    runs: 4, // class i with noise of seed 42 + i
    onProgress: (done, total) => console.error(`recorded ${done} of ${total} steps`),
  });
  const found = await compare(pipeline, { plan, runs: 4, seed: 1000 }); // seeds that it has not seen
  const psnr = found.psnrDb.reduce((sum, each) => sum + each, 0) / found.psnrDb.length;
  await Deno.writeTextFile(file, formatPlan(plan));
  console.log(
    `${file}: ${found.predictedSpeedup.toFixed(2)}× predicted, ` +
      `${found.measuredSpeedup.toFixed(2)}× measured, PSNR ${psnr.toFixed(1)} dB to full`,
  );
} finally {
  await pipeline.close();
}
