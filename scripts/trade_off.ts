/**
 * Quality against predicted speed-up, for our plans and their rivals, as a table and a figure:
 *
 *     deno task trade-off            64 fresh seeds, native where it is found; writes plans/trade-off.svg
 *
 * PSNR is the mean over pictures of their final latents to those of all 50 DDIM steps. Rivals: DDIM with
 * fewer steps, uniform reuse of the hidden state, and plans of the published calibration (levels
 * .61/.2/.2 and .63/.22/.22).
 */
import { parseArgs } from "node:util";
import { meanPsnr } from "../src/calibrate/psnr.ts";
import { modelCost, planTarget } from "../src/engine/plan_target.ts";
import { openPipeline } from "../src/engine/pipeline.ts";
import { importCacheBook } from "../src/plan/cache_book.ts";
import { compilePlan } from "../src/plan/compile.ts";
import { predictSpeedup } from "../src/plan/cost.ts";
import { bindPlan } from "../src/plan/fit.ts";
import { parsePlan, type Plan } from "../src/plan/plan.ts";
import { linearSchedule } from "../src/sampler/noise_schedule.ts";
import type { Tensor } from "../src/tensor/tensor.ts";

interface Point {
  readonly series: string;
  readonly name: string;
  readonly speedup: number;
  readonly psnr: number;
}

const STEPS = 50;
const GUIDANCE = 2;
const BATCH = 16;
const COLORS: Readonly<Record<string, string>> = {
  "bundled plans (search)": "#0a7d4b",
  "DDIM with fewer steps": "#c2410c",
  "uniform reuse of features": "#2563eb",
  "uniform reuse of the hidden state": "#7c3aed",
  "published calibration": "#6b7280",
};

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "64" },
    seed: { type: "string", default: "100000" },
    out: { type: "string", default: "plans/trade-off.svg" },
  },
});
const pipeline = await openPipeline();
const { model } = pipeline;
const { times } = linearSchedule(STEPS);
const target = await planTarget(model, { times, guidance: GUIDANCE });
const width = model.transformer.modules.length;
const full = await sample({});
const points: Point[] = [];

for (const name of ["slow", "fast", "turbo"]) {
  const text = await Deno.readTextFile(`plans/fashion-dit.ddim50.${name}.json`);
  await add("bundled plans (search)", name, parsePlan(text));
}
for (const steps of [30, 27, 25, 24, 21, 19, 18, 17, 15, 13, 12]) {
  const latents = await sample({ steps });
  push("DDIM with fewer steps", `${steps} steps`, STEPS / steps, latents);
}
for (const every of [2, 3, 4]) {
  for (
    const [series, mark] of [["features", "r".repeat(width)], ["the hidden state", "="]] as const
  ) {
    const rows = times.map((_, step) => [step % every === 0 ? ".".repeat(width) : mark]);
    await add(`uniform reuse of ${series}`, `1 of ${every}`, { ...bare(), rows });
  }
}
for (const name of ["slow", "fast"]) {
  const book = await Deno.readTextFile(`tests/golden/books/fashion-dit-${name}/cache_books.json`);
  const plan = importCacheBook(JSON.parse(book), { name: "ddim", times });
  await add("published calibration", name, bindPlan(plan, target));
}
await pipeline.close();
await Deno.writeTextFile(values.out, figure(points));

async function add(series: string, name: string, plan: Plan): Promise<void> {
  const speedup = predictSpeedup(compilePlan(plan), modelCost(model.transformer));
  push(series, name, speedup, await sample({ plan }));
}

function push(series: string, name: string, speedup: number, latents: Tensor): void {
  const point = { series, name, speedup, psnr: meanPsnr(latents, full) };
  points.push(point);
  console.log(
    `${series.padEnd(36)} ${name.padEnd(10)} ${speedup.toFixed(2)}× ${point.psnr.toFixed(2)} dB`,
  );
}

/** The same pictures under a plan, or with another number of steps. */
async function sample(options: { readonly plan?: Plan; readonly steps?: number }): Promise<Tensor> {
  const count = Number(values.count);
  const seed = Number(values.seed);
  const [c, h, w] = model.latent;
  const data = new Float32Array(count * c * h * w);
  for (let first = 0; first < count; first += BATCH) {
    const size = Math.min(BATCH, count - first);
    const labels = Array.from({ length: size }, (_, i) => (first + i) % model.classes);
    const { latents } = await pipeline.generate({
      steps: STEPS,
      guidance: GUIDANCE,
      labels,
      seed: seed + first,
      ...options,
    });
    data.set(latents.data, first * c * h * w);
  }
  return { dims: [count, c, h, w], data };
}

function bare(): Plan {
  return bindPlan({
    version: 1,
    architecture: target.architecture,
    fingerprints: [],
    modules: target.modules,
    sampler: { name: target.sampler, times },
    slots: ["joint"],
    rows: [],
    context: { guidance: GUIDANCE },
    policy: { name: "uniform", parameters: {} },
  }, target);
}

/** PSNR over predicted speed-up; one line a series. */
function figure(points: readonly Point[]): string {
  const x = (speedup: number): number => 60 + (speedup - 1.5) * 200;
  const y = (psnr: number): number => 380 - (psnr - 28) * 19;
  const series = Object.entries(COLORS).map(([name, color], row) => {
    const mine = points.filter((point) => point.series === name && point.speedup >= 1.5)
      .toSorted((a, b) => a.speedup - b.speedup);
    const path = mine.map(({ speedup, psnr }) => `${x(speedup).toFixed(1)},${y(psnr).toFixed(1)}`);
    const dots = path.map((at) =>
      `<circle cx="${at.split(",")[0]}" cy="${at.split(",")[1]}" r="4"/>`
    );
    const label = `<rect x="330" y="${24 + 20 * row}" width="12" height="12"/>` +
      `<text x="350" y="${35 + 20 * row}" class="t">${name}</text>`;
    return `<g fill="${color}" stroke="none"><polyline points="${path.join(" ")}" fill="none" ` +
      `stroke="${color}" stroke-width="2"/>${dots.join("")}${label}</g>`;
  });
  const across = [1.5, 2, 2.5, 3, 3.5, 4, 4.5].map((speedup) =>
    `<line x1="${x(speedup)}" x2="${x(speedup)}" y1="20" y2="380"/>` +
    `<text x="${x(speedup)}" y="398" text-anchor="middle">${speedup}×</text>`
  );
  const up = [28, 32, 36, 40, 44].map((psnr) =>
    `<line x1="60" x2="660" y1="${y(psnr)}" y2="${y(psnr)}"/>` +
    `<text x="52" y="${y(psnr) + 4}" text-anchor="end">${psnr} dB</text>`
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 430" role="img" ` +
    `font-family="system-ui, sans-serif" font-size="12">
<title>PSNR to 50 DDIM steps against predicted speed-up</title>
<style>svg{background:#fff}line{stroke:#e5e7eb}text{fill:#374151}</style>
${across.join("\n")}
${up.join("\n")}
<text x="360" y="420" text-anchor="middle">predicted speed-up</text>
${series.join("\n")}
</svg>
`;
}
