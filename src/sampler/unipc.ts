/**
 * UniPC: a multistep predictor, and a corrector that takes part in the next step, so that it costs no call.
 *
 * *Source:* Zhao et al., arXiv 2302.04867; diffusers `UniPCMultistepScheduler`, predicting pictures. As there, orders
 * fall to 1 at the end.
 */

import { combine, kept, LATENT, type LinearStep, type Weights } from "./linear_step.ts";
import { lambdaOf, type Path, pictureAt } from "./path.ts";

export interface UnipcOptions {
  readonly order: 2 | 3;
  /** The function B(h) of the paper: h, or e^h − 1. */
  readonly kind: "bh1" | "bh2";
}

/** The steps of a path; the history is the corrected latent before, then the pictures told, the latest first. */
export function unipc(path: Path, { order, kind }: UnipcOptions): readonly LinearStep[] {
  const steps = path.times.length;
  const orderAt = (step: number): number => Math.min(order, steps - step, step + 1);
  return path.times.map((_, step) => {
    const picture = pictureAt(path, step);
    const before = Array.from({ length: Math.min(step, order) }, (_, i) => kept(i + 1));
    const told = [picture, ...before].slice(0, order);
    const from = step === 0 ? LATENT : crossing(path, step - 1, {
      kind,
      from: kept(0),
      told: before.slice(0, orderAt(step - 1)),
      arrived: picture,
    });
    const latent = crossing(path, step, { kind, from, told: told.slice(0, orderAt(step)) });
    return { latent, history: [from, ...told], estimate: picture };
  });
}

/** A way from one point to the next, from a latent and pictures told at this and earlier points. */
interface Crossing extends Pick<UnipcOptions, "kind"> {
  readonly from: Weights;
  /** The latest first; as many as the order. */
  readonly told: readonly Weights[];
  /** The picture told at the next point, which makes this the corrector. */
  readonly arrived?: Weights;
}

function crossing(
  { points }: Path,
  step: number,
  { kind, from, told, arrived }: Crossing,
): Weights {
  const [here, next] = [points[step]!, points[step + 1]!]; // one more point than steps
  const keep = next.sigma / here.sigma;
  const [m0, ...older] = told;
  const straight = [[keep, from], [next.alpha - keep * here.alpha, m0!]] as const; // the order is at least 1
  const h = lambdaOf(next) - lambdaOf(here);
  const ratios = older.map((_, i) => (lambdaOf(points[step - 1 - i]!) - lambdaOf(here)) / h);
  const others = arrived === undefined ? older : [...older, arrived];
  if (others.length === 0) return combine(...straight);
  const places = arrived === undefined ? ratios : [...ratios, 1];
  const shares = sharesOf(places, h, kind);
  const scale = -next.alpha * (kind === "bh1" ? -h : Math.expm1(-h));
  return combine(
    ...straight,
    ...others.flatMap((m, i) => {
      const factor = scale * shares[i]! / places[i]!; // one for each
      return [[factor, m], [-factor, m0!]] as const;
    }),
  );
}

/** How much each difference to the latest picture counts; one alone counts half, as the authors have it. */
function sharesOf(places: readonly number[], h: number, kind: UnipcOptions["kind"]): number[] {
  if (places.length === 1) return [0.5];
  const scale = kind === "bh1" ? -h : Math.expm1(-h);
  let phi = Math.expm1(-h) / -h - 1;
  let factorial = 1;
  const rows = places.map((_, power) => {
    const wanted = phi * factorial / scale;
    factorial *= power + 2;
    phi = phi / -h - 1 / factorial;
    return [...places.map((place) => place ** power), wanted];
  });
  return solved(rows);
}

/** Solves linear equations, each row's last number its right side, by Gauss with pivots. */
function solved(equations: readonly (readonly number[])[]): number[] {
  const rows = equations.map((row) => [...row]);
  const size = rows.length;
  for (let i = 0; i < size; i++) {
    const pivot = rows.slice(i).reduce((a, b) => Math.abs(b[i]!) > Math.abs(a[i]!) ? b : a);
    rows.splice(rows.indexOf(pivot), 1);
    rows.splice(i, 0, pivot);
    for (const row of rows) {
      if (row === pivot) continue;
      const factor = row[i]! / pivot[i]!; // places differ, so there is a pivot
      for (let j = i; j <= size; j++) row[j]! -= factor * pivot[j]!;
    }
  }
  return rows.map((row, i) => row[size]! / row[i]!);
}
