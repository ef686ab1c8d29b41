/**
 * A process in which a checkout's steps are measured. Arguments: the checkout's folder as URL, the model, and `plain`
 * where steps shall not be replayed. Reads a question a line, `{ "method", "args" }`, and answers each with a line.
 */
import { createInterface } from "node:readline/promises";
import process from "node:process";
import { StepMeter } from "./gpu_steps.ts";
import { subjectOf } from "./gpu_subjects.ts";

/** What answers begin with: a runtime may print lines of its own. */
const ANSWER = "answer ";

const [root = "", model = "", mode] = Deno.args;
const meter = await StepMeter.open(await import(`${root}mod.ts`), subjectOf(model), mode);
for await (const line of createInterface({ input: process.stdin })) {
  const { method, args }: { method: "calls"; args: [never] } = JSON.parse(line); // as gpu_meters.ts writes it
  console.log(`${ANSWER}${JSON.stringify(await meter[method](...args) ?? null)}`);
}
await meter.close();
