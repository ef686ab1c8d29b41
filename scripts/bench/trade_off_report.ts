/**
 * The tables of a trade-off, and where they stand in a text.
 */
import { mean } from "../../src/calibrate/median.ts";
import { differenceOf, drawsOf, type Estimate, meanOf } from "../quality/report.ts";
import { percent, scaled, signed, table, withInterval } from "../quality/table.ts";
import type { Found } from "./trade_off_figure.ts";

/** What a report says besides its rows. */
export interface ReportFacts {
  /** The model's short name. */
  readonly id: string;
  /** Seed of the first picture. */
  readonly seed: number;
  /** Pictures that the judge looked at; 0 for none. */
  readonly judged: number;
  /** How the converged solution was made and proven, in a sentence. */
  readonly truth: string;
  /** Where and when speed was measured, in a sentence; absent where it was not. */
  readonly timed?: string | undefined;
  /** What repeats it. */
  readonly command: string;
}

const RESAMPLES = 1000;
/** The series of plans that are held against solvers. */
const PLANS = "bundled plans";
/** A solver counts as slow as a plan where it is at most so much faster: rounds differ by as much. */
const AS_SLOW = 1.03;

/** Both tables of a model, with what they were made of. */
export function tradeOffSection(rows: readonly Found[], facts: ReportFacts): string {
  const { id, seed, judged, truth, timed, command } = facts;
  const count = rows[0]!.psnrDb.length; // the full run at least
  const looked = judged === 0
    ? ""
    : ` Accuracy and Fréchet distance are of ${judged} pictures each.`;
  return [
    `PSNR is the mean of ${count} pictures that no plan has seen (seeds ${seed} – ${
      seed + count - 1
    }) to their converged solution. ${truth}${looked} ${timed ?? "Speed has not been measured."} ` +
    "In brackets are 95 % bootstrap intervals, those of differences paired by picture.",
    `![${id}: PSNR to the converged solution against speed-up](${id}.svg)`,
    tradeOffTable(rows),
    "Each plan less the best solver, at its best spacing, that takes as long:",
    rivalTable(rows),
    ...sharesText(rows),
    `\`\`\`sh\n${command}\n\`\`\``,
  ].join("\n\n");
}

/** What plans get of the speed-up that was predicted, in a sentence; none where nothing was measured. */
export function sharesText(rows: readonly Found[]): readonly string[] {
  const plans = rows.filter(({ variant }) => variant.series === PLANS);
  const parts = Object.keys(rows[0]?.speedups ?? {}).map((name) => {
    const shares = plans.flatMap(({ variant, speedups: { [name]: measured } }) =>
      measured === undefined ? [] : [Math.round(100 * measured / variant.speedup)]
    );
    return `${Math.min(...shares)} – ${Math.max(...shares)} % on ${name}`;
  });
  return parts.length === 0 ? [] : [`Of their predicted speed-up plans get ${parts.join(", ")}.`];
}

/** A row for each. */
export function tradeOffTable(rows: readonly Found[]): string {
  const backends = Object.keys(rows[0]?.speedups ?? {});
  const judges = rows.some(({ quality }) => quality !== undefined);
  const head = ["", "calls", "predicted", ...backends, "PSNR to the truth"];
  const lines = rows.map(({ variant: { series, name, steps, speedup }, quality, ...found }) => [
    `${series}, ${name}`,
    `${steps}`,
    `${speedup.toFixed(2)}×`,
    ...backends.map((backend) => timesOf(found.speedups[backend])),
    `${withInterval(psnrOf(found), 1)} dB`,
    ...judges ? [quality ? percent(quality.accuracy) : "–"] : [],
    ...judges ? [quality ? withInterval(quality.frechet, 2) : "–"] : [],
  ]);
  return table([...head, ...judges ? ["accuracy", "Fréchet"] : []], lines);
}

/** Every plan less the best solver of equal measured time. */
export function rivalTable(rows: readonly Found[]): string {
  const plans = rows.filter(({ variant }) => variant.series === PLANS);
  const judges = rows.some(({ quality }) => quality !== undefined);
  const lines = plans.flatMap((plan) => {
    const rival = rivalOf(plan, rows);
    if (rival === undefined) return [];
    const [a, b] = [plan.quality, rival.quality];
    const judged = a && b && [
      signed(scaled(differenceOf(a.accuracy, b.accuracy), 100), 1),
      signed(differenceOf(a.frechet, b.frechet), 2),
    ];
    return [[
      plan.variant.name,
      `${rival.variant.series}, ${rival.variant.name}`,
      `${signed(differenceOf(psnrOf(plan), psnrOf(rival)), 1)} dB`,
      ...judges ? judged ?? ["–", "–"] : [],
    ]];
  });
  const head = ["plan", "less", "PSNR", ...judges ? ["accuracy, points", "Fréchet"] : []];
  return table(head, lines);
}

/** What README says of a model: the full run, then each plan beside the best solver that takes as long. */
export function gainRows(rows: readonly Found[], id: string): readonly (readonly string[])[] {
  const of = ({ variant: { steps }, ...found }: Found, plan: string): readonly string[] => [
    plan,
    `${steps}`,
    ...["wasm", "native"].map((name) => timesOf(found.speedups[name])),
    `${mean(found.psnrDb).toFixed(1)} dB`,
  ];
  const [full, ...others] = rows;
  const plans = others.filter(({ variant }) => variant.series === PLANS);
  return [
    [id, ...of(full!, "none"), full!.variant.series.split(",")[0]!], // there is a full run
    ...plans.map((plan) => {
      const rival = rivalOf(plan, rows);
      const name = plan.variant.name.replace(id, "");
      return ["", ...of(plan, `\`${name}\``), rival ? `${mean(rival.psnrDb).toFixed(1)} dB` : "–"];
    }),
  ];
}

/** README's table of all models. */
export function gainsTable(rows: readonly (readonly string[])[]): string {
  return table(["model", "plan", "calls", "wasm", "native", "PSNR", "solver"], rows);
}

/**
 * The best solver that takes at least as long as a plan on one of the backends; where nothing was measured, that calls
 * the model as often.
 */
export function rivalOf(plan: Found, rows: readonly Found[]): Found | undefined {
  const backends = Object.keys(plan.speedups);
  const asSlow = ({ variant, speedups }: Found): boolean =>
    backends.length === 0
      ? variant.speedup <= AS_SLOW * plan.variant.speedup
      : backends.some((name) => (speedups[name] ?? Infinity) <= AS_SLOW * plan.speedups[name]!); // its own
  const solvers = rows.filter((row) => row.variant.series.startsWith("solver") && asSlow(row));
  const fastest = Math.max(...solvers.map(({ variant }) => variant.speedup));
  const nearest = solvers.filter(({ variant }) => variant.speedup === fastest);
  return nearest.toSorted((a, b) => mean(b.psnrDb) - mean(a.psnrDb))[0];
}

function timesOf(speedup: number | undefined): string {
  return speedup === undefined ? "–" : `${speedup.toFixed(2)}×`;
}

function psnrOf({ psnrDb }: Pick<Found, "psnrDb">): Estimate {
  return meanOf(psnrDb, drawsOf(psnrDb.length, RESAMPLES));
}

/**
 * A text with another section between the marks of a name.
 *
 * @throws {RangeError} When it has no such marks.
 */
export function replaceSection(text: string, name: string, section: string): string {
  const [begin, end] = [`<!-- trade-off of ${name} -->`, `<!-- end of ${name} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from >= 0 && to > from) {
    return `${text.slice(0, from + begin.length)}\n\n${section}\n\n${text.slice(to)}`;
  }
  throw new RangeError(`Cannot write tables: text must have ${begin} and, after it, ${end}`);
}
