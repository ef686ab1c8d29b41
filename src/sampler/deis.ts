/**
 * DEIS: a multistep method that integrates a polynomial in log ρ through the noises that were told, ρ = σ/α.
 *
 * *Source:* Zhang & Chen, arXiv 2204.13902; diffusers `DEISMultistepScheduler`, whose last steps are of lower order
 * where there are fewer than 15.
 */

import { combine, kept, LATENT, type LinearStep } from "./linear_step.ts";
import { orderLeft } from "./dpm_solver.ts";
import { noiseAt, type Path, pictureAt } from "./path.ts";

/** The steps of a path; the history is the noises told before, the latest first. */
export function deis(path: Path, order: 2 | 3): readonly LinearStep[] {
  const ratios = path.points.map(({ alpha, sigma }) => sigma / alpha);
  return path.times.map((_, step) => {
    const [here, next] = [path.points[step]!, path.points[step + 1]!]; // one more point than steps
    const before = Math.min(step, order - 1);
    const told = [noiseAt(path, step), ...Array.from({ length: before }, (_, i) => kept(i))];
    const used = told.slice(0, Math.min(before + 1, orderLeft(path, step)));
    const places = used.map((_, back) => ratios[step - back]!); // no more than steps before
    const shares = places.map((_, i) =>
      integral(places, i, ratios[step + 1]!) - integral(places, i, places[0]!)
    );
    return {
      latent: combine(
        [next.alpha / here.alpha, LATENT],
        ...used.map((noise, i) => [next.alpha * shares[i]!, noise] as const),
      ),
      history: told.slice(0, order - 1),
      estimate: pictureAt(path, step),
    };
  });
}

/** The integral over ρ of the polynomial in log ρ that is 1 at one place and 0 at the others. */
function integral(places: readonly number[], one: number, at: number): number {
  const own = Math.log(places[one]!);
  const others = places.filter((_, i) => i !== one).map(Math.log);
  const scale = others.reduce((product, other) => product * (own - other), 1);
  if (at === 0) return 0; // the limit: ρ falls faster than its logarithm grows
  const [b, c] = others;
  const log = Math.log(at);
  if (b === undefined) return at;
  if (c === undefined) return at * (log - 1 - b) / scale;
  return at * (log ** 2 - (2 + b + c) * (log - 1) + b * c) / scale;
}
