/**
 * Writes a plan that runs every k-th step in full:
 * `deno run --allow-read --allow-write scripts/uniform_plan.ts --steps 50 --every 3 --out FILE [--model DIR]`.
 */
import { parseArgs } from "node:util";
import { uniformPlan } from "../src/calibrate/uniform.ts";
import { EMBEDDED_MODEL } from "../src/engine/pipeline.ts";
import { openModel } from "../src/model/open_model.ts";
import { formatPlan } from "../src/plan/format.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    steps: { type: "string", default: "50" },
    every: { type: "string", default: "2" },
    out: { type: "string" },
  },
});
if (values.out === undefined) throw new TypeError("Cannot write plan: --out must be given");
const model = await openModel(values.model ?? EMBEDDED_MODEL);
const plan = await uniformPlan(model, { steps: Number(values.steps), every: Number(values.every) });
await model.close();
await Deno.writeTextFile(values.out, formatPlan(plan));
