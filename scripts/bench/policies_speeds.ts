/**
 * Ratios of time of the study of policies, kept as they come: a few ways between two full runs, then the next few.
 */
import { median } from "../../src/calibrate/median.ts";
import type { GenerateOptions } from "../../src/engine/request.ts";
import { modelFull, type Variant, variantKey } from "./rivals.ts";
import { secondsOf } from "./trade_off_speeds.ts";
import { conditionsOf, readJson, type Study } from "./trade_off_study.ts";

/** By backend, what it is in words, and by way the full run's seconds ÷ its own, once for each round. */
type Kept = Record<string, { readonly on: string; readonly ratios: Record<string, number[]> }>;

/** Ways that are timed between two full runs. */
const IN_TURN = 4;

/** How to time. */
export interface Timing {
  /** Ratios that each way shall have. */
  readonly rounds: number;
  readonly pictures: number;
  /** After so many no further ways are begun. */
  readonly seconds: number;
}

/**
 * Times those that have fewest ratios first, each twice; what disturbs a run only slows it, so the quicker one is held
 * against the quicker of the full runs before and after.
 */
export async function keepRatios(
  study: Study,
  variants: readonly Variant[],
  { rounds, pictures, seconds }: Timing,
): Promise<void> {
  const { pipeline } = study;
  const path = pathOf(study);
  const kept = await readJson<Kept>(path) ?? {};
  const { name, description: on } = pipeline.backend;
  const ratios = kept[name]?.ratios ?? {};
  const { labels, noise, given } = await conditionsOf(study, pictures);
  const request: GenerateOptions = { ...given, labels, noise };
  const full = modelFull(pipeline.model);
  const ways = variants.filter((each) => variantKey(each) !== variantKey(full));
  const until = performance.now() + 1000 * seconds;
  await secondsOf(pipeline, full, request); // opens its sessions
  let before = await secondsOf(pipeline, full, request);
  for (let round = 1; round <= rounds; round++) {
    const left = ways.filter((each) => (ratios[variantKey(each)]?.length ?? 0) < round);
    while (left.length > 0) {
      if (performance.now() > until) {
        console.error(`${left.length} ways are left of round ${round}`);
        return;
      }
      const timed: (readonly [string, number])[] = [];
      for (const variant of left.splice(0, IN_TURN)) {
        const opening = await secondsOf(pipeline, variant, request); // may open sessions
        const again = await secondsOf(pipeline, variant, request);
        timed.push([variantKey(variant), Math.min(opening, again)]);
      }
      const after = await secondsOf(pipeline, full, request);
      for (const [key, seconds] of timed) {
        ratios[key] = [...ratios[key] ?? [], Math.min(before, after) / seconds];
      }
      before = after;
      kept[name] = { on, ratios };
      await Deno.writeTextFile(path, JSON.stringify(kept, null, 2) + "\n");
    }
  }
}

/** The medians of what was kept: by a way's key, its speed-up on each backend. */
export async function speedupsOf(
  study: Study,
): Promise<(key: string) => Readonly<Record<string, number>>> {
  const kept = await readJson<Kept>(pathOf(study)) ?? {};
  return (key) =>
    Object.fromEntries(
      Object.entries(kept).flatMap(([name, { ratios: { [key]: each } }]) =>
        each === undefined ? [] : [[name, median(each)]]
      ),
    );
}

function pathOf({ folder, pipeline }: Study): string {
  return `${folder}/policy-speeds-${pipeline.model.id}.json`;
}
