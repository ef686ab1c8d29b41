/**
 * DPM-Solver++ as a multistep method of second or third order on the pictures that are told, the midpoint kind.
 *
 * *Source:* Lu et al., arXiv 2211.01095 and 2206.00927; diffusers `DPMSolverMultistepScheduler`. As there, the first
 * steps are of the order that the history allows, the last one of first order, and with fewer than 15 steps the one
 * before it of second.
 */

import { combine, kept, LATENT, type LinearStep, type Weights } from "./linear_step.ts";
import { lambdaOf, type Path, pictureAt, straightStep } from "./path.ts";

/** The steps of a path; the history is the pictures told before, the latest first. */
export function dpmSolver(path: Path, order: 2 | 3): readonly LinearStep[] {
  return path.times.map((_, step) => {
    const picture = pictureAt(path, step);
    const before = Math.min(step, order - 1);
    const told = [picture, ...Array.from({ length: before }, (_, i) => kept(i))];
    const used = Math.min(before + 1, orderLeft(path, step));
    return {
      latent: combine(
        [1, straightStep(path, step, { from: LATENT, picture })],
        ...bend(path, step, told.slice(0, used)),
      ),
      history: told.slice(0, order - 1),
      estimate: picture,
    };
  });
}

/** With so few steps the last two are of lower order. */
const FEW_STEPS = 15;

/** The highest order that what is left of a path allows. */
export function orderLeft({ times, points }: Path, step: number): number {
  const left = times.length - step;
  if (points[step + 1]!.sigma === 0) return 1; // one more point than steps
  return times.length < FEW_STEPS && left <= 2 ? left : Infinity;
}

/** What comes on top of the first order: derivatives of the pictures in λ. */
function bend(path: Path, step: number, told: readonly Weights[]): [number, Weights][] {
  const [m0, m1, m2] = told;
  if (m0 === undefined || m1 === undefined) return [];
  const { alpha } = path.points[step + 1]!;
  const lambda = (back: number): number => lambdaOf(path.points[step - back]!);
  const h = lambda(-1) - lambda(0);
  const r0 = (lambda(0) - lambda(1)) / h;
  const fall = Math.expm1(-h);
  const slope = combine([1 / r0, m0], [-1 / r0, m1]);
  if (m2 === undefined) return [[-0.5 * alpha * fall, slope]];
  const r1 = (lambda(1) - lambda(2)) / h;
  const change = combine([1, slope], [-1 / r1, m1], [1 / r1, m2]);
  const first = combine([1, slope], [r0 / (r0 + r1), change]);
  return [
    [alpha * (fall / h + 1), first],
    [-alpha * ((fall + h) / h ** 2 - 0.5) / (r0 + r1), change],
  ];
}
