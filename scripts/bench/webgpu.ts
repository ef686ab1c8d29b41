/**
 * What a step costs the host on WebGPU, by kind of step: calls of WebGPU (exact) and milliseconds to completion.
 *
 *     deno task bench:webgpu                            narrow DiT and FLUX, in Deno and in Chromium
 *     deno task bench:webgpu --model DIR --in deno      another model, or a size such as DiT-XL/2
 *     deno task bench:webgpu --other ../before --rounds 15   against another checkout, in turn
 *     deno task bench:webgpu --in deno --plain          by the runtime, without replays
 *     deno task bench:webgpu --model narrow-dit --kind full --kernels   what each shader of a replayed step takes
 *
 * The narrow models have no arithmetic to speak of, so their milliseconds are the host's. Deno's WebGPU is wgpu, here on
 * Mesa's llvmpipe where there is no GPU; Chromium's is Dawn, here on SwiftShader. `fast` is the published structure of
 * that name against as many full steps. `gpu ms` is by timestamps of the GPU, where it has them.
 */
import { median } from "../../src/calibrate/median.ts";
import { modelCost } from "../../src/engine/plan_facts.ts";
import type { Transformer } from "../../src/model/module_graph.ts";
import { compilePlan } from "../../src/plan/compile.ts";
import { predictSpeedup } from "../../src/plan/cost.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { publishedDitPlan, publishedFluxPlan } from "../../tests/plan/published_plans.ts";
import { parseArgs } from "../parse_args.ts";
import { chromiumMeter, denoMeter, type Meter } from "./gpu_meters.ts";
import { lowerRank } from "./lower_rank.ts";
import { stepKinds, type StepRows } from "./gpu_steps.ts";
import { isPublished, NARROW, transformerOf } from "./gpu_subjects.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    in: { type: "string", default: "deno,chromium" },
    other: { type: "string" },
    rounds: { type: "string", default: "5" },
    kind: { type: "string" },
    plain: { type: "boolean" },
    kernels: { type: "boolean" },
  },
});
/** Steps of a kind whose milliseconds are added up. */
const STEPS = 8;
const MODE = values.kernels ? "kernels" : values.plain ? "plain" : "replay";
const METERS = { deno: denoMeter, chromium: chromiumMeter };
const HERE = new URL("../../", import.meta.url);
const roots = values.other === undefined
  ? [HERE]
  : [HERE, new URL(`${values.other.replace(/\/*$/, "")}/`, `file://${Deno.cwd()}/`)];

if (!values.kernels) {
  console.log(
    "model        kind          dispatches  groups  writes  submits  copies  maps      ms  gpu ms" +
      "  ratio (95 %)         where",
  );
}
for (const where of values.in.split(",")) {
  for (const model of values.model === undefined ? NARROW : [values.model]) {
    await measure(model, where as keyof typeof METERS); // any other fails at once
  }
}

async function measure(model: string, where: keyof typeof METERS): Promise<void> {
  const meters: Meter[] = [];
  for (const root of roots) {
    meters.push(await METERS[where](root, model, MODE));
  }
  try {
    const transformer = await transformerOf(model);
    for (const kind of stepKinds(transformer.modules.length)) {
      if (values.kind !== undefined && kind.name !== values.kind) continue;
      if (values.kernels) await printKernels(`${model}, ${kind.name}, ${where}`, kind, meters[0]!);
      else console.log(`${model.padEnd(12)} ${await lineOf(kind, meters)}  ${where}`);
    }
    const plan = fastPlan(model, transformer);
    if (plan !== undefined && !values.kernels && [undefined, "fast"].includes(values.kind)) {
      console.log(`${model.padEnd(12)} ${await fastLine(plan, transformer, meters[0]!)}  ${where}`);
    }
  } finally {
    for (const meter of meters) await meter.close();
  }
}

async function lineOf(kind: StepRows, meters: readonly Meter[]): Promise<string> {
  const calls = [];
  for (const meter of meters) calls.push(await meter.calls(kind));
  const { dispatches, bindGroups, writes, submits, copies, maps } = calls[0]!; // this checkout's
  const rounds = await inTurn(meters.map((meter) => () => meter.milliseconds(kind, STEPS)));
  return [
    kind.name.padEnd(13),
    ...[dispatches, bindGroups, writes, submits, copies, maps].map((count, i) =>
      `${count}`.padStart([10, 7, 7, 8, 7, 5][i]!)
    ),
    median(rounds.map(([own]) => own!)).toFixed(2).padStart(7),
    ((await meters[0]!.gpuMilliseconds(kind, STEPS))?.toFixed(2) ?? "–").padStart(7),
    ratioText(rounds).padEnd(20),
  ].join(" ");
}

/** What each shader of a replayed step costs, and what so many dispatches that do nothing would. */
async function printKernels(what: string, kind: StepRows, meter: Meter): Promise<void> {
  const { kernels, floorMs, wholeMs } = await meter.kernels(kind) ?? {};
  if (kernels === undefined) return; // the checkout does not show its device
  const count = kernels.reduce((sum, each) => sum + each.count, 0);
  console.log(
    `${what}: ${count} dispatches in ${wholeMs!.toFixed(2)} ms; as many that do nothing ` +
      `${(count * floorMs!).toFixed(2)} ms`,
  );
  for (const { name, workgroups, count, ms } of kernels) {
    const total = (count * ms).toFixed(2).padStart(8);
    console.log(
      `  ${name.padEnd(36)} ${`${workgroups}`.padEnd(9)} ${`${count}`.padStart(4)} × ` +
        `${ms.toFixed(3).padStart(7)} = ${total} ms`,
    );
  }
}

/** The published fast structure for a model that is made here; `undefined` for others. */
function fastPlan(model: string, { modules }: Transformer): Plan | undefined {
  if (model === "narrow-flux") return publishedFluxPlan("fast", { dual: 4, single: 8 });
  const isDit = isPublished(model) || NARROW.includes(model);
  return isDit ? publishedDitPlan("fast", modules.length / 2) : undefined;
}

/** The published fast structure, in parts of as many full steps. */
async function fastLine(plan: Plan, transformer: Transformer, meter: Meter): Promise<string> {
  const rows = plan.rows.map(([row]) => row!.text); // one slot
  const full = rows.map(() => ".".repeat(plan.modules.length));
  await meter.loop(rows);
  const rounds = await inTurn([() => meter.loop(rows), () => meter.loop(full)]);
  const ms = median(rounds.map(([own]) => own!));
  const predicted = 1 / predictSpeedup(compilePlan(plan), modelCost(transformer));
  return `fast plan ${ms.toFixed(0).padStart(52)} ms, ${ratioText(rounds)} of all in full, ` +
    `${predicted.toFixed(3)} predicted`;
}

/** Milliseconds of tasks in turn, round by round; the round before the first warms them. */
async function inTurn(tasks: readonly (() => Promise<number>)[]): Promise<number[][]> {
  const rounds: number[][] = [];
  for (let round = 0; round <= Number(values.rounds); round++) {
    const found: number[] = [];
    for (const task of tasks) found.push(await task());
    if (round > 0) rounds.push(found);
  }
  return rounds;
}

/** The median of the ratios of the first to the second, and its interval by order statistics. */
function ratioText(rounds: readonly (readonly number[])[]): string {
  if (rounds[0]!.length < 2) return "";
  const ratios = rounds.map(([own, other]) => own! / other!).toSorted((a, b) => a - b);
  const rank = lowerRank(ratios.length);
  const interval = [ratios[rank]!, ratios.at(-1 - rank)!].map((ratio) => ratio.toFixed(3));
  return `${median(ratios).toFixed(3)} (${interval.join("–")})`;
}
