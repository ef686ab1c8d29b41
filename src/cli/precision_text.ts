/**
 * What rounding did to a model's weights, in words.
 */

import type { LayerPrecision } from "../engine/precision/rounded_layers.ts";
import type { PrecisionReport } from "../engine/precision/choose.ts";

/** `int8 in 48 of 48 layers, rounding error 0.54 % on average, 0.64 % at most (…)`. */
export function precisionText({ weights, products, layers }: PrecisionReport): string {
  const rounded = layers.filter((layer) => layer.rounded);
  if (products === "f16") {
    return `f16, products in it too, in ${rounded.length} of ${layers.length} layers`;
  }
  if (weights === "f32") {
    return layers.length === 0
      ? "f32"
      : `f32, ${rounded.length} of ${layers.length} layers kept as f16`;
  }
  const kept = layers.filter((layer) => !layer.rounded);
  return [
    `${weights} in ${rounded.length} of ${layers.length} layers`,
    ...errorsText(rounded),
    ...(kept.length === 0 ? [] : [`f32: ${kept.map(nameWithError).join(", ")}`]),
  ].join(", ");
}

/** `rounding error 0.54 % on average, 0.64 % at most (…)`, where it is known. */
export function errorsText(layers: readonly LayerPrecision[]): string[] {
  const known = layers.flatMap(({ name, error }) => (error === undefined ? [] : [{ name, error }]));
  if (known.length === 0) return layers.length === 0 ? [] : ["as packed"];
  const mean = known.reduce((sum, { error }) => sum + error, 0) / known.length;
  const worst = known.reduce((a, b) => (b.error > a.error ? b : a));
  return [
    `rounding error ${percent(mean)} on average`,
    `${percent(worst.error)} at most (${worst.name})`,
  ];
}

/** `blocks.0.mlp.fc1.weight (2.31 %)`. */
export function nameWithError({ name, error }: LayerPrecision): string {
  return error === undefined ? name : `${name} (${percent(error)})`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}
