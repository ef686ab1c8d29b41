/**
 * The tables of the study of policies: each at its best setting at about some speed-ups, and how far it lies from the
 * curve of our plans.
 */
import { mean } from "../../src/calibrate/median.ts";
import { differenceOf, drawsOf, type Estimate, meanOf } from "../quality/report.ts";
import { signed, table, withInterval } from "../quality/table.ts";
import type { Found } from "./trade_off_figure.ts";

/** Speed-ups at which ways are held against each other. */
const TARGETS: readonly number[] = [2, 3, 4, 6];
/** What counts as about as fast, as a ratio. */
const ABOUT = 1.15;
/** Ways that are predicted to be faster are slower in fact, or beyond all tables. */
const FASTEST = 12;
const RESAMPLES = 1000;
const PLANS = "bundled plans";
/** The place where nothing was timed. */
const PREDICTED = "predicted";

/** A way at a speed-up on one backend, or as it is predicted. */
export interface Placed {
  readonly found: Found;
  readonly at: number;
  /** Whether that is what arithmetic says, since it was not timed there. */
  readonly isPredicted: boolean;
}

/** Names of what speed-ups are of: backends, or `predicted` where nothing was measured. */
export function placesOf(rows: readonly Found[]): readonly string[] {
  const backends = [...new Set(rows.flatMap(({ speedups }) => Object.keys(speedups)))];
  return backends.length === 0 ? [PREDICTED] : backends.toSorted();
}

/** The ways with their speed-ups there; those that were not timed are where arithmetic has them. */
export function placed(rows: readonly Found[], place: string): readonly Placed[] {
  return rows.map((found) => {
    const { series, speedup } = found.variant;
    const measured = series.endsWith("in full") ? 1 : found.speedups[place];
    return {
      found,
      at: measured ?? speedup,
      isPredicted: place !== PREDICTED && measured === undefined,
    };
  });
}

/** What a way is one of, as tables name it. */
export function seriesOf({ variant: { series } }: Found): string {
  return series.startsWith("solver") ? "best solver" : series === PLANS ? "our plans" : series;
}

/** Of some ways those that no other is both nearer and as fast as. */
export function frontOf(rows: readonly Placed[]): readonly Placed[] {
  const passes = (other: Placed, { found, at }: Placed): boolean =>
    other.at >= at && mean(other.found.psnrDb) > mean(found.psnrDb);
  return rows.filter((row) => !rows.some((other) => passes(other, row)))
    .toSorted((a, b) => a.at - b.at);
}

/** Ways that a table or a line can show, as far as they are known before they are timed: the front of each series. */
export function worthTiming(rows: readonly Found[]): readonly Found[] {
  const known = placed(rows, PREDICTED).filter(({ at }) => at <= FASTEST);
  return [...Map.groupBy(known, ({ found }) => seriesOf(found)).values()]
    .flatMap((ways) => frontOf(ways).map(({ found }) => found));
}

/** The best of some ways at about a speed-up. */
export function bestAbout(rows: readonly Placed[], target: number): Placed | undefined {
  const near = rows.filter(({ at }) => Math.max(at / target, target / at) <= ABOUT);
  return near.toSorted((a, b) => mean(b.found.psnrDb) - mean(a.found.psnrDb))[0];
}

/**
 * PSNR of each picture on the curve of our plans at a speed-up: straight between the two next to it, over the logarithm
 * of the speed-up. Below the slowest it is that one's, which takes less time; beyond the fastest there is none.
 */
export function curveAt(plans: readonly Placed[], at: number): readonly number[] | undefined {
  const sorted = plans.toSorted((a, b) => a.at - b.at);
  const above = sorted.findIndex((plan) => plan.at >= at);
  const [slow, fast] = [sorted[above - 1], sorted[above]];
  if (fast === undefined) return undefined;
  if (slow === undefined) return fast.found.psnrDb;
  const share = Math.log(at / slow.at) / Math.log(fast.at / slow.at);
  return slow.found.psnrDb.map((db, i) => db + share * (fast.found.psnrDb[i]! - db)); // of the same pictures
}

/** What a way has more than the curve of our plans, paired by picture; nothing where there is no curve. */
export function aboveCurve(plans: readonly Placed[], { found, at }: Placed): Estimate | undefined {
  const curve = curveAt(plans, at);
  return curve && differenceOf(estimateOf(found.psnrDb), estimateOf(curve));
}

/** A model's tables, with what they were made of: the seed of its first picture. */
export function policiesSection(
  rows: readonly Found[],
  { seed }: { readonly seed: number },
): string {
  const count = rows[0]!.psnrDb.length; // the full run at least
  const places = placesOf(rows);
  const which = places[0] === PREDICTED
    ? "Speed-ups are those of arithmetic: none has been measured."
    : "Speed-ups are measured, but for those with ≈, which are of arithmetic.";
  return [
    `PSNR is the mean of ${count} pictures (seeds ${seed} – ${seed + count - 1}) to their ` +
    "converged solution, with a 95 % bootstrap interval; below it stand speed-up and settings. Of each policy it is " +
    `the best of the settings that were tried within a factor of ${ABOUT} of the speed-up. ${which}`,
    ...places.flatMap((place) => [`**${place}**`, bestTable(placed(rows, place))]),
    "How far the point of each policy that comes nearest lies above the curve of our plans at its own speed-up, paired by " +
    "picture:",
    curveTable(rows),
  ].join("\n\n");
}

/** A row for each series, its best way at each speed-up. */
export function bestTable(rows: readonly Placed[]): string {
  const lines = groupsOf(rows).map(([series, ways]) => [
    series,
    ...TARGETS.map((target) => {
      const best = bestAbout(ways, target);
      return best === undefined ? "–" : cellOf(best);
    }),
  ]);
  return table(["", ...TARGETS.map((target) => `about ${target}×`)], lines);
}

/** A row for each policy and place: what comes nearest to our curve. */
export function curveTable(rows: readonly Found[]): string {
  const places = placesOf(rows);
  const lines = groupsOf(placed(rows, PREDICTED)).flatMap(([series]) => {
    if (series === "our plans" || series.endsWith("in full")) return [];
    return [[series, ...places.map((place) => nearestOf(placed(rows, place), series))]];
  });
  return table(["", ...places], lines);
}

function nearestOf(rows: readonly Placed[], series: string): string {
  const plans = rows.filter(({ found }) => found.variant.series === PLANS);
  const [most] = rows.filter(({ found }) => seriesOf(found) === series)
    .flatMap((row) => {
      const above = aboveCurve(plans, row);
      return above === undefined ? [] : [{ ...row, above }];
    })
    .toSorted((a, b) => b.above.value - a.above.value);
  return most === undefined ? "–" : `${signed(most.above, 1)} dB at ${timesOf(most)}`;
}

function groupsOf(rows: readonly Placed[]): readonly (readonly [string, readonly Placed[]])[] {
  const groups = Map.groupBy(rows, ({ found }) => seriesOf(found));
  return [...groups].filter(([series]) => !series.endsWith("in full"));
}

function cellOf(placed: Placed): string {
  const { found } = placed;
  const { variant: { series, name } } = found;
  const words = series.startsWith("solver") ? `${series.slice(7)}, ${name}` : name;
  return `${withInterval(estimateOf(found.psnrDb), 1)} dB<br>${timesOf(placed)}, ${words}`;
}

function timesOf({ at, isPredicted }: Placed): string {
  return `${isPredicted ? "≈ " : ""}${at.toFixed(2)}×`;
}

function estimateOf(psnrDb: readonly number[]): Estimate {
  return meanOf(psnrDb, drawsOf(psnrDb.length, RESAMPLES));
}
