/**
 * Measured speed-up and PSNR to the truth as a figure.
 */
import { mean } from "../../src/calibrate/median.ts";
import type { Quality } from "../quality/report.ts";
import type { Variant } from "./rivals.ts";

/** A way of making pictures with what was found of it. */
export interface Found {
  readonly variant: Variant;
  /** PSNR in dB to the converged solution, of each picture. */
  readonly psnrDb: readonly number[];
  /** Measured speed-up over the full run, by backend; none where nothing was measured. */
  readonly speedups: Readonly<Record<string, number>>;
  /** What the judge says, where it was asked. */
  readonly quality?: Quality | undefined;
}

const PLOT = { left: 56, right: 640, top: 20, bottom: 370 };
const COLORS: readonly (readonly [string, string])[] = [
  ["bundled plans", "#0a7d4b"],
  ["solver", "#c2410c"],
  ["earlier plans", "#6b7280"],
  ["uniform reuse", "#2563eb"],
  ["all steps in full", "#111827"],
];

/** PSNR over measured speed-up, or what is predicted where nothing was measured; both logarithmic in what they are of: a line for each kind and backend. */
export function tradeOffFigure(found: readonly Found[], id: string): string {
  const isTimed = found.some(({ speedups }) => Object.keys(speedups).length > 0);
  const rows = isTimed
    ? found
    : found.map((each) => ({ ...each, speedups: { predicted: each.variant.speedup } }));
  const backends = Object.keys(rows[0]?.speedups ?? {});
  const all = rows.flatMap(({ speedups }) => Object.values(speedups));
  const most = Math.max(2, ...all) * 1.05;
  const heights = rows.map(({ psnrDb }) => mean(psnrDb));
  const [low, high] = [
    Math.floor(Math.min(...heights) / 4) * 4,
    Math.ceil(Math.max(...heights) / 4) * 4,
  ];
  const x = (speedup: number): number =>
    PLOT.left + Math.log(Math.max(1, speedup)) / Math.log(most) * (PLOT.right - PLOT.left);
  const y = (db: number): number =>
    PLOT.bottom - (db - low) / Math.max(1, high - low) * (PLOT.bottom - PLOT.top);
  const series = COLORS.flatMap(([name, color], row) => {
    const mine = rows.filter(({ variant }) => variant.series.includes(name));
    const lines = backends.map((backend, i) =>
      lineOf(mine, { backend, color, x, y, dashed: i > 0 })
    );
    const at = PLOT.top + 16 * row;
    return mine.length === 0 ? [] : [
      ...lines,
      `<rect x="470" y="${at}" width="11" height="11" fill="${color}"/>` +
      `<text x="488" y="${at + 10}">${legendOf(name)}</text>`,
    ];
  });
  const marks = [1, 1.5, 2, 3, 4, 6, 8, 10].filter((speedup) => speedup <= most);
  const across = marks.map((speedup) =>
    `<line x1="${x(speedup)}" x2="${x(speedup)}" y1="${PLOT.top}" y2="${PLOT.bottom}"/>` +
    `<text x="${x(speedup)}" y="${PLOT.bottom + 18}" text-anchor="middle">${speedup}×</text>`
  );
  const up = Array.from({ length: (high - low) / 4 + 1 }, (_, i) => low + 4 * i).map((db) =>
    `<line x1="${PLOT.left}" x2="${PLOT.right}" y1="${y(db)}" y2="${y(db)}"/>` +
    `<text x="${PLOT.left - 6}" y="${y(db) + 4}" text-anchor="end">${db} dB</text>`
  );
  const lines = backends.map((backend, i) => `${backend} ${i > 0 ? "dashed" : "solid"}`).join(", ");
  const axis = isTimed
    ? `measured speed-up over the full run (${lines})`
    : "predicted speed-up over the full run";
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 660 420" role="img" ` +
    `font-family="system-ui, sans-serif" font-size="12">
<title>${id}: PSNR to the converged solution against speed-up</title>
<style>svg{background:#fff}line{stroke:#e5e7eb}text{fill:#374151}</style>
${[...across, ...up].join("\n")}
<text x="348" y="410" text-anchor="middle">${axis}</text>
${series.join("\n")}
</svg>
`;
}

function legendOf(name: string): string {
  return name === "solver" ? "best solver of as many calls" : name;
}

/** The points of a kind on a backend, from the slowest on. */
function lineOf(
  rows: readonly Found[],
  { backend, color, x, y, dashed }: {
    readonly backend: string;
    readonly color: string;
    readonly x: (speedup: number) => number;
    readonly y: (db: number) => number;
    readonly dashed: boolean;
  },
): string {
  const points = rows.flatMap(({ speedups: { [backend]: at }, psnrDb }) =>
    at === undefined ? [] : [{ at, db: mean(psnrDb) }]
  )
    .toSorted((a, b) => a.at - b.at)
    .map(({ at, db }) => [x(at).toFixed(1), y(db).toFixed(1)] as const);
  const dots = points.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="${dashed ? 2.5 : 4}"/>`);
  const dash = dashed ? ' stroke-dasharray="4 4"' : "";
  const path = points.map((point) => point.join(",")).join(" ");
  return `<g fill="${color}"><polyline points="${path}" fill="none" stroke="${color}"${dash}/>` +
    `${dots.join("")}</g>`;
}
