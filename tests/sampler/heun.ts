import { evenSigmas } from "../../src/sampler/flow_schedule.ts";
import type { Advance, Sampler, SamplerState } from "../../src/sampler/sampler.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

/**
 * Heun's method on a flow: proof that a solver may call the model twice for an interval and look back. The last
 * interval is Euler's, as in diffusers' `FlowMatchHeunDiscreteScheduler`; so is the one before if steps are even.
 */
export function heun(steps: number): Sampler {
  const pairs = Math.floor((steps - 1) / 2);
  const sigmas = [...evenSigmas(steps - pairs), 0];
  const times = Array.from(
    { length: steps },
    (_, step) => step < 2 * pairs ? sigmas[Math.ceil(step / 2)]! : sigmas[step - pairs]!,
  );
  return {
    times,
    weights: times.map(() => 1 / steps),
    advance: (state, velocity) => {
      const { index } = state;
      const [start, first] = state.history;
      if (start === undefined || first === undefined) {
        const from = index < 2 * pairs ? index / 2 : index - pairs;
        const by = sigmas[from + 1]! - sigmas[from]!;
        const history = index < 2 * pairs ? [state.latent, velocity] : [];
        return advanced(state, velocity, {
          time: times[index]!,
          latent: moved(state.latent, by, velocity),
          history,
        });
      }
      const mean = { ...velocity, data: velocity.data.map((v, i) => (v + first.data[i]!) / 2) };
      const by = times[index]! - times[index - 1]!;
      return advanced(state, velocity, {
        time: times[index]!,
        latent: moved(start, by, mean),
        history: [],
      });
    },
  };
}

function advanced(
  { index, latent: before }: SamplerState,
  velocity: Tensor,
  { time, latent, history }: {
    readonly time: number;
    readonly latent: Tensor;
    readonly history: readonly Tensor[];
  },
): Advance {
  return { state: { index: index + 1, latent, history }, estimate: moved(before, -time, velocity) };
}

function moved({ dims, data }: Tensor, by: number, velocity: Tensor): Tensor {
  return { dims, data: data.map((x, i) => x + by * velocity.data[i]!) };
}
