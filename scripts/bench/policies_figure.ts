/**
 * All policies on one figure: PSNR to the converged solution against speed-up, a panel for each model and backend.
 */
import { mean } from "../../src/calibrate/median.ts";
import { frontOf, type Placed, placed, placesOf, seriesOf } from "./policies_report.ts";
import type { Found } from "./trade_off_figure.ts";

const PANEL = { width: 400, height: 330, left: 46, right: 8, top: 26, bottom: 26 };
const MARKS = [1, 1.5, 2, 3, 4, 6, 8];
const MOST = 9;
const DB = 4;
/** Ours and solvers are drawn thick, policies thin, every second one dashed. */
const THICK: Readonly<Record<string, string>> = {
  "our plans": "#0a7d4b",
  "best solver": "#c2410c",
};
/** Degrees between hues that follow each other: those of any few are far from each other. */
const HUES = 137.5;

/** The figure of what was found on each model; a model without anything has no panel. */
export function policiesFigure(models: ReadonlyMap<string, readonly Found[]>): string {
  const all = [...models].filter(([, rows]) => rows.length > 0);
  const looks = looksOf(all.flatMap(([, rows]) => rows));
  const columns = Math.max(1, ...all.map(([, rows]) => placesOf(rows).length));
  const panels = all.flatMap(([id, rows], down) =>
    placesOf(rows).map((place, across) =>
      `<g transform="translate(${across * PANEL.width} ${down * PANEL.height})">` +
      `${panelOf(placed(rows, place), { title: `${id}, ${titleOf(place)}`, looks })}</g>`
    )
  );
  const top = all.length * PANEL.height;
  const legend = [...looks].map(([series, look], i) => {
    const [x, y] = [
      PANEL.left + (i % 2 * columns) * PANEL.width / 2,
      top + 16 * Math.floor(i / 2) + 8,
    ];
    return `<polyline points="${x},${y + 6} ${x + 22},${y + 6}" ${strokeOf(look)}/>` +
      `<text x="${x + 28}" y="${y + 10}">${series}</text>`;
  });
  const height = top + 16 * Math.ceil(looks.size / 2) + 16;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${
    columns * PANEL.width
  } ${height}" ` +
    `role="img" font-family="system-ui, sans-serif" font-size="11">
<title>Policies: PSNR to the converged solution against speed-up over the full run</title>
<style>svg{background:#fff}line{stroke:#e5e7eb}text{fill:#374151}</style>
${panels.join("\n")}
${legend.join("\n")}
</svg>
`;
}

function titleOf(place: string): string {
  return place === "predicted" ? "predicted speed-up" : `measured on ${place}`;
}

function looksOf(rows: readonly Found[]): ReadonlyMap<string, Look> {
  const series = [...new Set(rows.map(seriesOf))].filter((name) => !name.endsWith("in full"));
  const thin = series.filter((name) => THICK[name] === undefined);
  return new Map(series.map((name) => {
    const at = thin.indexOf(name);
    const color = THICK[name] ?? `hsl(${Math.round(at * HUES % 360)},65%,42%)`;
    return [name, { color, isThick: at < 0, isDashed: at % 2 === 1 }];
  }));
}

/** How a series is drawn. */
interface Look {
  readonly color: string;
  readonly isThick: boolean;
  readonly isDashed: boolean;
}

function strokeOf({ color, isThick, isDashed }: Look): string {
  return `fill="none" stroke="${color}" stroke-width="${isThick ? 2.5 : 1}"` +
    (isDashed ? ' stroke-dasharray="4 3"' : "");
}

function panelOf(
  rows: readonly Placed[],
  { title, looks }: { readonly title: string; readonly looks: ReadonlyMap<string, Look> },
): string {
  const { width, height, left, right, top, bottom } = PANEL;
  const heights = rows.map(({ found }) => mean(found.psnrDb));
  const low = Math.floor(Math.min(...heights) / DB) * DB;
  const high = Math.ceil(Math.max(...heights) / DB) * DB;
  const [x1, y1] = [width - right, height - bottom];
  const x = (at: number): number =>
    left + Math.log(Math.min(MOST, Math.max(1, at))) / Math.log(MOST) * (x1 - left);
  const y = (db: number): number => y1 - (db - low) / Math.max(1, high - low) * (y1 - top);
  const across = MARKS.map((at) =>
    `<line x1="${x(at).toFixed(1)}" x2="${x(at).toFixed(1)}" y1="${top}" y2="${y1}"/>` +
    `<text x="${x(at).toFixed(1)}" y="${y1 + 15}" text-anchor="middle">${at}×</text>`
  );
  const up = Array.from({ length: (high - low) / DB + 1 }, (_, i) => low + DB * i).map((db) =>
    `<line x1="${left}" x2="${x1}" y1="${y(db).toFixed(1)}" y2="${y(db).toFixed(1)}"/>` +
    `<text x="${left - 5}" y="${(y(db) + 4).toFixed(1)}" text-anchor="end">${db} dB</text>`
  );
  const lines = [...looks].map(([series, look]) => {
    const points = frontOf(rows.filter(({ found }) => seriesOf(found) === series))
      .filter(({ at }) => at <= MOST)
      .map(({ found, at, isPredicted }) => ({
        ...{ cx: x(at).toFixed(1), cy: y(mean(found.psnrDb)).toFixed(1) },
        paint: isPredicted ? `fill="#fff" stroke="${look.color}"` : `fill="${look.color}"`,
      }));
    const dots = points.map(({ cx, cy, paint }) =>
      `<circle cx="${cx}" cy="${cy}" r="${look.isThick ? 4 : 2.5}" ${paint}/>`
    );
    return `<polyline points="${points.map(({ cx, cy }) => `${cx},${cy}`).join(" ")}" ` +
      `${strokeOf(look)}/>${dots.join("")}`;
  });
  return `<text x="${left}" y="16" font-size="13">${title}</text>` +
    [...across, ...up, ...lines].join("");
}
