import {
  advanceRate,
  changeDistance,
  NO_FEATURES,
} from "../../../src/calibrate/reference/change_rate.ts";

/**
 * Change rates of one trajectory whose features are all at hand; rows 0 and T-1 are 1.
 *
 * @param reused Mask of phase 1, for phase 2.
 */
export function changeRates(
  features: readonly Float32Array[],
  reused?: readonly boolean[],
): Float32Array {
  const rates = new Float32Array(features.length).fill(1);
  let state = NO_FEATURES;
  let reference = features[0];
  for (const [step, feature] of features.entries()) {
    const update = advanceRate(state, changeDistance(feature, reference!), reused);
    if (update.rate !== undefined) rates[step - 1] = update.rate;
    if (update.advances) reference = feature;
    state = update.state;
  }
  return rates;
}
