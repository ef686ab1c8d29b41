/**
 * Quality against predicted speed-up, for our plans and their rivals, as a table and a figure:
 *
 *     deno task trade-off            64 fresh seeds, native where it is found; writes plans/trade-off.svg
 *
 * PSNR is the mean over pictures of their final latents to those of all 50 DDIM steps. Rivals: DDIM with
 * fewer steps, uniform reuse of features or of the hidden state, and plans of the published calibration (levels
 * .61/.2/.2 and .63/.22/.22). Mode `guided` chooses its levels on the conditions that `fast` was searched on
 * (`--runs 40 --seed 1000`: half of them recorded, half held back).
 */
import { parseArgs } from "../parse_args.ts";
import { seededConditions } from "../../src/calibrate/task.ts";
import { meanPsnr } from "../../src/image/psnr.ts";
import { calibrateTradeOff } from "../../src/calibrate/trade_off.ts";
import { openEngine } from "../../src/engine/engine.ts";
import { joinRows } from "../../src/tensor/rows.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import {
  bundledVariants,
  ddimVariants,
  FULL_STEPS,
  fullVariant,
  planned,
  publishedVariants,
  uniformVariants,
  type Variant,
} from "./rivals.ts";
import { FASHION_DIT } from "../fashion_dit.ts";

interface Point {
  readonly series: string;
  readonly name: string;
  readonly speedup: number;
  readonly psnr: number;
}

const BATCH = 16;
const COLORS: Readonly<Record<string, string>> = {
  "bundled plans (search)": "#0a7d4b",
  "guided calibration": "#65a30d",
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
const pipeline = await openEngine({ model: FASHION_DIT });
const { model } = pipeline;
const variants = [
  ...bundledVariants(model, ["ddim50.slow", "ddim50.fast", "ddim50.turbo"]),
  ...await guidedVariants([2.08, 2.94, 4.16]),
  ...ddimVariants([30, 27, 25, 24, 21, 19, 18, 17, 15, 13, 12]),
  ...await uniformVariants(model, [2, 3, 4], "features"),
  ...await uniformVariants(model, [2, 3, 4], "the hidden state"),
  ...await publishedVariants(model),
];
const full = await sample(fullVariant());
const points: Point[] = [];
for (const variant of variants) {
  const { series, name, speedup } = variant;
  const point = { series, name, speedup, psnr: meanPsnr(await sample(variant), full) };
  points.push(point);
  console.log(
    `${series.padEnd(36)} ${name.padEnd(12)} ${speedup.toFixed(2)}× ${point.psnr.toFixed(2)} dB`,
  );
}
await pipeline.close();
await Deno.writeTextFile(values.out, figure(points));

/** Plans of mode `guided`, of at least these predicted speed-ups. */
async function guidedVariants(speedups: readonly number[]): Promise<Variant[]> {
  const conditions = seededConditions(pipeline, { runs: 40, seed: 1000 });
  const { guidance } = model.sampler;
  const variants: Variant[] = [];
  for (const speedup of speedups) {
    const task = {
      pipeline,
      conditions,
      steps: FULL_STEPS,
      guidance,
      speedup,
      seconds: 30,
      warmup: 0,
    };
    const plan = await calibrateTradeOff(task);
    variants.push(planned(model, { series: "guided calibration", name: `${speedup}×`, plan }));
  }
  return variants;
}

/** The same pictures by any variant. */
async function sample({ steps, plan }: Variant): Promise<Tensor> {
  const count = Number(values.count);
  const batches: Tensor[] = [];
  for (let first = 0; first < count; first += BATCH) {
    const size = Math.min(BATCH, count - first);
    const labels = Array.from({ length: size }, (_, i) => (first + i) % model.classes);
    const seed = Number(values.seed) + first;
    const { latents } = await pipeline.generate({ steps, labels, seed, plan: plan ?? "none" });
    batches.push(latents);
  }
  return joinRows(batches);
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
