/**
 * BudCache: so many steps are computed, the others add the trunk's last residual again, and simulated annealing looks
 * for the steps that leave the final latents nearest to those of the run in full.
 *
 * *Source:* arXiv 2606.13496 and its published code (Westlake-AGI-Lab/BudCache): temperatures, moves and the climbing
 * after them. The error there is of one prompt, here of all runs, over the mean square of their latents in full, so
 * that temperatures hold whatever the scale of latents. What moves two steps at once is our reading of the tenth of
 * the moves that are not single ones. Its second stage, which trains the times, is left out.
 */

import { compilePlan } from "../../plan/compile.ts";
import { STATE_ROWS } from "../../plan/row.ts";
import { philox } from "../../tensor/random.ts";
import { requestOf } from "../task.ts";
import { openTrials, trial } from "../trials.ts";
import type { Setting } from "../../engine/policies/settings.ts";
import type { Policy } from "./policy.ts";
import { rowsWhere } from "./rows.ts";

/** How many steps are computed. */
export const EVALUATIONS: Setting = {
  words: "steps that are computed",
  ...{ or: 10, least: 1, whole: true },
};

const SETTINGS = {
  evaluations: EVALUATIONS,
  iterations: { words: "moves of the annealing", or: 200, least: 0, most: 1e5, whole: true },
  seed: { words: "what draws them", or: 0, least: 0, most: 2 ** 32 - 1, whole: true },
} as const;

/** The policy. */
export const BUDCACHE: Policy<typeof SETTINGS> = {
  words: "so many steps computed, placed by annealing on the final latents",
  settings: SETTINGS,
  record: async (task, { evaluations, iterations, seed }) => {
    const { pipeline, steps, signal, onProgress } = task;
    expectEvaluations(steps, { evaluations, policy: "budcache" });
    const { modules } = pipeline.model.transformer;
    const rowsOf = (visited: readonly number[]) =>
      rowsWhere(Array.from({ length: steps }, (_, step) => visited.includes(step)), {
        modules: modules.length,
        other: STATE_ROWS.residual,
      });
    const trials = await openTrials({ pipeline, request: requestOf(task), signal });
    const wanted = trials.full.at(-1)!.latent.data; // there is a state at least
    const names = modules.map(({ name }) => name);
    const cost = async (visited: readonly number[]): Promise<number> => {
      const rows = rowsOf(visited).map((row) => [row]);
      const { steps: program } = compilePlan({ modules: names, slots: ["joint"], rows });
      return relativeError((await trial(trials, program)).at(-1)!.latent.data, wanted);
    };
    const { visited, error, tried } = await anneal(cost, {
      ...{ steps, evaluations, iterations, seed },
      onMove: (done) => onProgress?.(done, iterations + 1),
    });
    onProgress?.(iterations + 1, iterations + 1); // with the climbing
    return { rows: rowsOf(visited), recorded: { error, tried } };
  },
};

/** @throws {RangeError} When more steps are to be computed than there are. */
export function expectEvaluations(
  steps: number,
  { evaluations, policy }: { readonly evaluations: number; readonly policy: string },
): void {
  if (evaluations <= steps) return;
  throw new RangeError(
    `Cannot calibrate: evaluations of ${policy} must be at most ${steps}, the number of steps: ` +
      `current value is ${evaluations}`,
  );
}

/** Mean square of a difference over that of what is wanted. */
function relativeError(made: Float32Array, wanted: Float32Array): number {
  const square = wanted.reduce((all, value) => all + value ** 2, 0);
  return wanted.reduce((all, value, i) => all + (made[i]! - value) ** 2, 0) / square; // of one shape
}

/** What is searched, and how. */
export interface AnnealOptions {
  readonly steps: number;
  /** How many of them are computed, always. */
  readonly evaluations: number;
  readonly iterations: number;
  readonly seed: number;
  /** Called after each move of the annealing. */
  readonly onMove?: ((done: number) => void) | undefined;
}

/** What was found: the computed steps, rising. */
export interface Annealed {
  readonly visited: readonly number[];
  readonly error: number;
  /** How many placements were measured. */
  readonly tried: number;
}

/** Of the annealing: first and last temperature, which fall geometrically. */
const [HOTTEST, COLDEST] = [0.05, 1e-5];
/** Share of the moves that relocate one step, and of relocations that stay near. */
const [SINGLE, NEAR] = [0.9, 0.7];
/** How far is near, and how many moves of each step go anywhere while climbing. */
const [RADIUS, FAR_MOVES] = [3, 2];

/** Steps that are always computed: the first ones. */
export function keptSteps(evaluations: number): number {
  return Math.max(1, Math.floor(evaluations / 4));
}

/** The first steps, and others at equal distances: where the search begins. */
export function evenStart(
  { steps, evaluations }: Pick<AnnealOptions, "steps" | "evaluations">,
): readonly number[] {
  const kept = keptSteps(evaluations);
  return Array.from(
    { length: evaluations },
    (_, i) => i < kept ? i : kept + Math.floor((i - kept) * (steps - kept) / (evaluations - kept)),
  );
}

/** Anneals from an even start, then climbs while that is better; never ends worse than where it began. */
export async function anneal(
  cost: (visited: readonly number[]) => Promise<number>,
  options: AnnealOptions,
): Promise<Annealed> {
  const random = uniforms(options.seed);
  const known = new Map<string, number>();
  const measure = async (visited: readonly number[]): Promise<Annealed> => {
    const error = known.get(`${visited}`) ?? await cost(visited);
    known.set(`${visited}`, error);
    return { visited, error, tried: known.size };
  };
  let now = await measure(evenStart(options));
  let best = now;
  for (let i = 0; i < options.iterations; i++) {
    const temperature = HOTTEST * (COLDEST / HOTTEST) ** (i / Math.max(1, options.iterations - 1));
    const next = await measure(drawMove(now.visited, options, random));
    const accepts = random() < Math.exp((now.error - next.error) / temperature); // always where better
    if (accepts) now = next;
    if (next.error < best.error) best = next;
    options.onMove?.(i + 1);
  }
  for (let climbs = true; climbs;) {
    let steepest = best;
    for (const move of movesFrom(best.visited, options, random)) {
      const next = await measure(move);
      if (next.error < steepest.error) steepest = next;
    }
    climbs = steepest !== best;
    best = steepest;
  }
  return { ...best, tried: known.size };
}

/** One move by lot; where nothing can move, none. */
function drawMove(
  visited: readonly number[],
  options: AnnealOptions,
  random: () => number,
): readonly number[] {
  const times = random() < SINGLE ? 1 : 2;
  let moved = visited;
  for (let i = 0; i < times; i++) {
    const free = freePlaces(moved, options);
    const kept = keptSteps(options.evaluations);
    if (free.length === 0 || moved.length === kept) return moved;
    const from = moved[kept + Math.floor(random() * (moved.length - kept))]!; // one of them
    const near = free.filter((place) => Math.abs(place - from) <= RADIUS);
    const places = random() < NEAR && near.length > 0 ? near : free;
    moved = relocated(moved, from, places[Math.floor(random() * places.length)]!); // one of them
  }
  return moved;
}

/** Every near move of every step, and some far ones by lot. */
function movesFrom(
  visited: readonly number[],
  options: AnnealOptions,
  random: () => number,
): readonly (readonly number[])[] {
  const free = freePlaces(visited, options);
  if (free.length === 0) return [];
  return visited.slice(keptSteps(options.evaluations)).flatMap((from) => {
    const near = free.filter((place) => Math.abs(place - from) <= RADIUS);
    const far = Array.from({ length: FAR_MOVES }, () => free[Math.floor(random() * free.length)]!);
    return [...near, ...far].map((to) => relocated(visited, from, to));
  });
}

function freePlaces(
  visited: readonly number[],
  { steps }: Pick<AnnealOptions, "steps">,
): readonly number[] {
  return Array.from({ length: steps }, (_, step) => step).filter((step) => !visited.includes(step));
}

function relocated(visited: readonly number[], from: number, to: number): readonly number[] {
  return visited.map((step) => step === from ? to : step).toSorted((a, b) => a - b);
}

/** Numbers in [0, 1), the same for a seed everywhere. */
function uniforms(seed: number): () => number {
  let drawn = 0;
  let four: readonly number[] = [];
  return () => {
    if (drawn % 4 === 0) four = philox([drawn / 4, 0, 0, 0], [seed, 0]);
    return four[drawn++ % 4]! / 2 ** 32; // there are four
  };
}
