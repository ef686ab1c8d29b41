/**
 * The quality report as tables of Markdown.
 */
import { differenceOf, type Estimate, type Quality, type VariantQuality } from "./report.ts";

/** Plans and rivals whose predicted speed-ups differ by less than this ratio are held against each other. */
const EQUAL_COST = 1.1;

/** A row for each variant, and one for real pictures where there are any. */
export function qualityTable(rows: readonly VariantQuality[], real: Quality | undefined): string {
  const lines = rows.map((
    { variant, psnr, truth, accuracy, frechet, secondsPerPicture, timesFaster },
  ) => [
    `${variant.series}, ${variant.name}`,
    `${variant.speedup.toFixed(2)}×`,
    psnr === undefined ? "–" : `${withInterval(psnr, 1)} dB`,
    truth === undefined ? "–" : `${withInterval(truth, 1)} dB`,
    percent(accuracy),
    withInterval(frechet, 2),
    `${secondsPerPicture.toFixed(3)} s (${timesFaster.toFixed(2)}×)`,
  ]);
  if (real !== undefined) {
    lines.push([
      "real pictures",
      "",
      "",
      "",
      percent(real.accuracy),
      withInterval(real.frechet, 2),
      "",
    ]);
  }
  return table(
    ["", "predicted", "PSNR", "to the truth", "accuracy", "Fréchet", "a picture takes"],
    lines,
  );
}

/** Every bundled plan less each rival of about its cost: paired differences. */
export function rivalTable(rows: readonly VariantQuality[]): string {
  const isPlan = ({ variant }: VariantQuality): boolean => variant.series.startsWith("bundled");
  const lines = rows.filter(isPlan).flatMap((plan) =>
    rows.filter((rival) => !isPlan(rival) && ofEqualCost(plan, rival)).map((rival) => [
      plan.variant.name,
      `${rival.variant.series}, ${rival.variant.name}`,
      ...(plan.psnr === undefined || rival.psnr === undefined
        ? ["–"]
        : [`${signed(differenceOf(plan.psnr, rival.psnr), 1)} dB`]),
      signed(scaled(differenceOf(plan.accuracy, rival.accuracy), 100), 1),
      signed(differenceOf(plan.frechet, rival.frechet), 2),
    ])
  );
  return table(["plan", "less its rival", "PSNR", "accuracy, points", "Fréchet"], lines);
}

function ofEqualCost({ variant: a }: VariantQuality, { variant: b }: VariantQuality): boolean {
  return Math.max(a.speedup / b.speedup, b.speedup / a.speedup) < EQUAL_COST;
}

/** `86.1 (84.0 – 88.2) %`. */
export function percent(share: Estimate): string {
  return `${withInterval(scaled(share, 100), 1)} %`;
}

/** A number in another unit. */
export function scaled({ value, low, high, resamples }: Estimate, factor: number): Estimate {
  const [v, l, h] = [value, low, high].map((number) => number * factor);
  return { value: v!, low: l!, high: h!, resamples }; // three of three
}

/** `39.2 (38.9 – 39.5)`. */
export function withInterval({ value, low, high }: Estimate, digits: number): string {
  return `${value.toFixed(digits)} (${low.toFixed(digits)} – ${high.toFixed(digits)})`;
}

/** `−0.3 (−1.2 … +0.6)`. */
export function signed({ value, low, high }: Estimate, digits: number): string {
  const text = (number: number): string => {
    const rounded = number.toFixed(digits);
    return (rounded.startsWith("-") ? "−" : "+") + rounded.replace("-", "");
  };
  return `${text(value)} (${text(low)} … ${text(high)})`;
}

/** Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => "---"), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
