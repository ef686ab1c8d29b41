/**
 * Heun's method: to the next point and back to the mean of both slopes, so N intervals take 2N − 1 calls, the last one
 * being Euler's.
 *
 * *Source:* Karras et al., arXiv 2206.00364; diffusers `HeunDiscreteScheduler`, `FlowMatchHeunDiscreteScheduler`. Each
 * call is a step, as their doubled times have it.
 */

import { combine, kept, LATENT, type LinearStep, PREDICTION, type Weights } from "./linear_step.ts";
import { noiseAt, type Path, pictureAt } from "./path.ts";

/** The path of the calls: every point between the first and the last is visited twice. */
export function doubled({ times, points, predicts }: Path): Path {
  const twice = <T>(values: readonly T[], last: number): T[] =>
    values.flatMap((value, i) => i === 0 || i === last ? [value] : [value, value]);
  return { times: twice(times, times.length), points: twice(points, points.length - 1), predicts };
}

/** The steps of a path that is not doubled; after the first call of an interval latent and slope are kept. */
export function heun(path: Path): readonly LinearStep[] {
  const last = path.times.length - 1;
  return path.times.flatMap((_, interval) => {
    const here = slopeAt(path, interval);
    const estimate = pictureAt(path, interval);
    const euler = moved(path, interval, { from: LATENT, slope: here });
    if (interval === last) return [{ latent: euler, history: [], estimate }];
    const mean = combine([0.5, slopeAt(path, interval + 1)], [0.5, kept(1)]);
    return [
      { latent: euler, history: [LATENT, here], estimate },
      {
        latent: moved(path, interval, { from: kept(0), slope: mean }),
        history: [],
        estimate: pictureAt(path, interval + 1),
      },
    ];
  });
}

/** The slope that a prediction tells: of the latent over σ on a flow, else of latent ÷ α over σ ÷ α. */
function slopeAt(path: Path, step: number): Weights {
  return path.predicts === "velocity" ? PREDICTION : noiseAt(path, step);
}

function moved(
  { points, predicts }: Path,
  step: number,
  { from, slope }: { readonly from: Weights; readonly slope: Weights },
): Weights {
  const [here, next] = [points[step]!, points[step + 1]!]; // one more point than steps
  if (predicts === "velocity") return combine([1, from], [next.sigma - here.sigma, slope]);
  const keep = next.alpha / here.alpha;
  return combine([keep, from], [next.sigma - keep * here.sigma, slope]);
}
