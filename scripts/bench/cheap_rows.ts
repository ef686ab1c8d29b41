/**
 * What rows that compute less are worth in a fitted plan:
 *
 *     deno run -A scripts/bench/cheap_rows.ts --plan peeps-flux.2x
 *     deno run -A scripts/bench/cheap_rows.ts --plan peeps-flux.2x.1 --runs 24 --drop 8 --add "first half reused, x@1"
 *
 * Half-way between two visits of a bundled plan one row more is computed, in full or in part, and the weights of the step
 * to the next visit are fitted with what it puts out: how much nearer that comes to the converged solution, on the third
 * of the runs that is not fitted, is what the row is worth there. With `--add`, and visits to `--drop`, rows of a kind are
 * added after these visits, all weights are fitted to the end, and PSNR is that of finished pictures.
 */
import { parseArgs } from "../parse_args.ts";
import { nodesOf } from "../../src/calibrate/converged.ts";
import { type Ensemble, openEnsemble } from "../../src/calibrate/fit/ensemble.ts";
import { summed } from "../../src/calibrate/fit/course.ts";
import {
  difference,
  leastSquares,
  normalEquations,
  rootMeanSquare,
} from "../../src/calibrate/fit/least_squares.ts";
import { recordTrajectory, type Trajectory } from "../../src/calibrate/fit/trajectory.ts";
import { mean } from "../../src/calibrate/median.ts";
import { picturesOf, psnrOf } from "../../src/calibrate/pictures.ts";
import { conditionsOfRuns } from "../../src/calibrate/prompted_conditions.ts";
import { requestOf } from "../../src/calibrate/task.ts";
import { loadPlan } from "../../src/engine/bundled_plans.ts";
import { type Engine, openEngine } from "../../src/engine/engine.ts";
import { modelCost } from "../../src/engine/plan_facts.ts";
import { trunkStep } from "../../src/engine/segment/step_segments.ts";
import { loadsOf } from "../../src/plan/cells.ts";
import { MOST_OUTPUTS } from "../../src/plan/columns.ts";
import type { CallStep } from "../../src/plan/compile.ts";
import { rowMacs } from "../../src/plan/cost.ts";
import { readModuleName } from "../../src/plan/module_name.ts";
import { type CallRow, evenRow, moduleRow, reuseRow, STATE_ROWS } from "../../src/plan/row.ts";
import { sliceRows } from "../../src/tensor/rows.ts";

/** The ridge of fits. */
const RIDGE = 1e-6;
/** Of the first run, as calibration has it. */
const SEED = 42;

/** Runs, and where they should go. */
interface Study {
  readonly engine: Engine;
  readonly ensemble: Ensemble;
  readonly truth: Trajectory;
  /** Nodes of the truth that the plan visits. */
  readonly visits: readonly number[];
  /** How many numbers of all runs are fitted, the first. */
  readonly fitted: number;
  /** PSNR in dB of each of the other runs' pictures. */
  readonly pictures: (latents: Float32Array) => Promise<readonly number[]>;
}

/** A row between two visits. */
interface Kind {
  readonly name: string;
  readonly row: CallRow;
  /** In full rows. */
  readonly price: number;
}

/** What a kind of row is worth after each visit. */
interface Worth {
  readonly kind: Kind;
  /** Root mean square of what its output is off by, as a share of the full row's output. */
  readonly off: readonly number[];
  /** How many dB nearer the next visit comes. */
  readonly gainDb: readonly number[];
}

/** One more row at a node. */
interface Added {
  readonly node: number;
  readonly kind: Kind;
}

async function main(): Promise<void> {
  const { values: { plan, runs, add, drop } } = parseArgs({
    options: {
      plan: { type: "string", default: "peeps-flux.2x" },
      runs: { type: "string", default: "12" },
      add: { type: "string" },
      drop: { type: "string", default: "" },
    },
  });
  const [id = ""] = plan.split(".");
  const model = new URL(`../../models/${id}/`, import.meta.url);
  const engine = await openEngine({ model, backend: "native", threads: 1 });
  try {
    const study = await openStudy(engine, { plan, runs: Number(runs) });
    const kinds = kindsOf(engine);
    if (add === undefined && drop === "") {
      for (const line of tableOf(await worthOf(study, kinds))) console.log(line);
    } else {
      console.log(
        await finished(study, {
          added: addedBy(add ?? "", { study, kinds }),
          dropped: numbersOf(drop),
        }),
      );
    }
    study.ensemble.close();
  } finally {
    await engine.close();
  }
}

async function openStudy(
  engine: Engine,
  { plan, runs }: { readonly plan: string; readonly runs: number },
): Promise<Study> {
  const { context: { guidance = 1 }, sampler: { times }, reference } = loadPlan(plan);
  const conditions = await conditionsOfRuns(engine, { runs, seed: SEED });
  const task = { pipeline: engine, conditions, guidance, steps: reference?.steps ?? 1 };
  const { scene, noise } = requestOf(task);
  const nodes = nodesOf(engine.model.sampler, scene);
  const ensemble = await openEnsemble(task, nodes.sampler.times);
  const truth = await recordTrajectory(ensemble, nodes.sampler);
  const first = Math.round(runs * 2 / 3);
  const drawn = async (data: Float32Array): ReturnType<typeof picturesOf> =>
    await picturesOf(sliceRows({ dims: noise.dims, data }, first, runs - first), {
      pipeline: engine,
      scene,
    });
  const wanted = await drawn(truth.latents.at(-1)!);
  return {
    ...{ engine, ensemble, truth },
    visits: times.map((time) => nearest(nodes.times, time)),
    fitted: noise.data.length * first / runs,
    pictures: async (latents) => psnrOf(engine, await drawn(latents), wanted),
  };
}

function nearest(times: readonly number[], time: number): number {
  const gaps = times.map((other) => Math.abs(other - time));
  return gaps.indexOf(Math.min(...gaps));
}

/** A full row first; then rows that reuse, and those that forecast (x) instead. */
function kindsOf({ model: { transformer } }: Engine): readonly Kind[] {
  const names = transformer.modules.map(({ name }) => readModuleName(name));
  const blocks = [...new Set(names.map(({ block }) => block))];
  const reused = (isReused: (block: number, kind: string) => boolean): CallRow =>
    reuseRow(names.map(({ block, kind }) => isReused(blocks.indexOf(block), kind)));
  const rows: readonly (readonly [string, CallRow])[] = [
    ["in full", evenRow("run", names.length)],
    ["attentions reused", reused((_, kind) => kind === "attn")],
    ["MLPs reused", reused((_, kind) => kind !== "attn")],
    ["first half reused", reused((block) => block < blocks.length / 2)],
    ["all but the last block reused", reused((block) => block < blocks.length - 1)],
    ["all reused", reused(() => true)],
    ...Object.values(STATE_ROWS).map((row) => [`state ${row.text}`, row] as const),
  ];
  const cost = modelCost(transformer);
  const full = rowMacs(rows[0]![1], cost);
  return rows.flatMap(([name, row]) => {
    const kind = { name, row, price: rowMacs(row, cost) / full };
    if (row.kind === "state" || kind.price === 1) return [kind];
    const forecast = row.cells.map((cell) => cell === "reuse" ? "extrapolate" as const : cell);
    return [kind, { ...kind, name: `${name}, x`, row: moduleRow(forecast) }];
  });
}

/** What a row does after visits that keep their last two features; it keeps them. @param weights Of forecast cells. */
function stepOf(row: CallRow, weights: readonly number[]): CallStep {
  if (row.kind === "state") {
    return { kind: "reuse", index: 0, slot: "joint", load: row.state, drop: false };
  }
  return trunkStep(row.cells.map((kind) => ({
    kind,
    keep: loadsOf(kind, weights) > 0 ? KEPT : 0,
    ...(kind === "extrapolate" && { weights }),
  })));
}

const KEPT = 2;

/** Everything is computed and kept. */
function visit({ engine: { model: { transformer: { modules } } } }: Study): CallStep {
  const step = trunkStep(modules.map(() => ({ kind: "run", keep: KEPT })));
  return { ...step, storeHidden: true, storeResidual: true };
}

/** Weights of the last features that go on in a straight line from the last two visits to a time. */
function straight(times: readonly number[], visits: readonly number[], node: number): number[] {
  const [before, last] = visits.slice(-2).map((visit) => times[visit]!);
  if (last === undefined) return [1];
  const share = (last - times[node]!) / (before! - last);
  return [1 + share, -share];
}

/** Walks the plan's visits, and tries every kind of row after each. */
async function worthOf(study: Study, kinds: readonly Kind[]): Promise<readonly Worth[]> {
  const { ensemble, truth: { times, latents: wanted }, visits } = study;
  const worth = kinds.map((kind) => ({ kind, off: [] as number[], gainDb: [] as number[] }));
  const outputs: Float32Array[] = [];
  let latent = ensemble.noise;
  for (const [i, node] of visits.entries()) {
    outputs.unshift(await ensemble.predict(latent, times[node]!, visit(study)));
    const to = visits[i + 1] ?? times.length;
    const next = fit(study, [latent, ...outputs], to);
    const half = halfWay(study, i);
    const there = fit(study, [latent, ...outputs], half);
    const weights = straight(times, visits.slice(0, i + 1), half);
    let exact: Float32Array | undefined;
    for (const { kind: { row }, off, gainDb } of worth) {
      const output = await ensemble.predict(there, times[half]!, stepOf(row, weights));
      exact ??= output; // the full row is the first
      const nearer = fit(study, [there, output, ...outputs], to);
      off.push(rootMeanSquare(difference(output, exact)) / rootMeanSquare(exact));
      const [before, after] = [next, nearer].map((found) => missed(study, found, wanted[to]!));
      gainDb.push(20 * Math.log10(before! / after!));
    }
    latent = next;
  }
  ensemble.forget();
  return worth;
}

/** What weights that are fitted make of a latent and outputs, the latest first, at a node. */
function fit({ truth, fitted }: Study, terms: readonly Float32Array[], node: number): Float32Array {
  const weighed = terms.slice(0, 1 + MOST_OUTPUTS);
  const part = (numbers: Float32Array): Float32Array => numbers.subarray(0, fitted);
  const equations = normalEquations(weighed.map(part), part(truth.latents[node]!));
  return summed(leastSquares(equations, RIDGE), weighed);
}

function missed({ fitted }: Study, found: Float32Array, wanted: Float32Array): number {
  return rootMeanSquare(difference(found.subarray(fitted), wanted.subarray(fitted)));
}

/** Rows as `--add` names them: `NAME@0,1;NAME@2`, after these visits. */
function addedBy(
  words: string,
  { study, kinds }: { readonly study: Study; readonly kinds: readonly Kind[] },
): readonly Added[] {
  return words.split(";").filter((word) => word !== "").flatMap((word) => {
    const [name = "", places = ""] = word.split("@");
    const kind = kinds.find((each) => each.name === name);
    if (kind === undefined) {
      throw new RangeError(`--add knows ${kinds.map((each) => each.name).join("; ")}`);
    }
    return numbersOf(places).map((i) => ({ node: halfWay(study, i), kind }));
  });
}

function numbersOf(list: string): readonly number[] {
  return list.split(",").filter((word) => word !== "").map(Number);
}

/** Runs the visits and what is added, fits all weights anew, and says how near the other runs' pictures come. */
async function finished(
  study: Study,
  { added, dropped }: { readonly added: readonly Added[]; readonly dropped: readonly number[] },
): Promise<string> {
  const { ensemble, truth: { times } } = study;
  const visits = study.visits.filter((_, i) => !dropped.includes(i));
  const rows: readonly { readonly node: number; readonly kind?: Kind }[] = [
    ...visits.map((node) => ({ node })),
    ...added,
  ].toSorted((a, b) => a.node - b.node);
  const outputs: Float32Array[] = [];
  let latent = ensemble.noise;
  for (const [i, { node, kind }] of rows.entries()) {
    const weights = straight(times, visits.filter((before) => before < node), node);
    const step = kind === undefined ? visit(study) : stepOf(kind.row, weights);
    outputs.unshift(await ensemble.predict(latent, times[node]!, step));
    latent = fit(study, [latent, ...outputs], rows[i + 1]?.node ?? times.length);
  }
  ensemble.forget();
  const price = rows.reduce((sum, { kind }) => sum + (kind?.price ?? 1), 0);
  const each = await study.pictures(latent);
  return `${rows.length} rows, as much as ${price.toFixed(2)} in full: ${
    mean(each).toFixed(2)
  } dB (${each.map((psnr) => psnr.toFixed(1)).join(" ")})`;
}

function tableOf(worth: readonly Worth[]): readonly string[] {
  const lines = worth.map(({ kind: { name, price }, off, gainDb }) => {
    const percent = off.map((share) => (100 * share).toFixed(0)).join(" ");
    const nearer = gainDb.map((gain) => gain.toFixed(1)).join(" ");
    return `| ${name} | ${price.toFixed(3)} | ${percent} | ${nearer} |`.replace(/-(?=[0-9])/g, "−");
  });
  return [
    "| one row more | price | off by, % | dB nearer at the next visit |",
    "| --- | --- | --- | --- |",
    ...lines,
  ];
}

/** The node between a visit and the next. */
function halfWay({ visits, truth: { times } }: Study, i: number): number {
  return Math.round((visits[i]! + (visits[i + 1] ?? times.length)) / 2); // a visit
}

if (import.meta.main) await main();
