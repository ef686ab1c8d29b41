/**
 * Every policy of the field beside our plans and the best solvers, at equal time: how near pictures come to the
 * converged solution of the same noise.
 *
 *     deno run -A scripts/bench/policies.ts                       fashion-dit: makes plans and pictures
 *     deno run -A scripts/bench/policies.ts --model models/peeps-flux --count 10 --only fora --only l2p:interval=5
 *     deno run -A scripts/bench/policies.ts --time native --seconds 120
 *     deno run -A scripts/bench/policies.ts --write               tables and figure of what there is into plans
 *
 * Plans are made of `--runs` recorded runs (seeds from 42); pictures are those of the study of trade-offs, with which
 * it shares `--cache`. All is kept there: plans, batches, what was found of each way, and ratios of time, so that it
 * goes on wherever it was stopped. Speed-ups are measured apart, on a machine that does nothing else, a few ways at a
 * time in turn with the full run, of those ways of the last whole study that no other of their policy is predicted to be
 * nearer and as fast as; with `--seconds` it stops in between and goes on the next time.
 */
import { parseArgs } from "../parse_args.ts";
import type { BackendName } from "../../src/backend/backend.ts";
import { openEngine } from "../../src/engine/engine.ts";
import { FASHION_DIT } from "../fashion_dit.ts";
import { avatarPrompts } from "../quality/avatars/prompts.ts";
import { policiesFigure } from "./policies_figure.ts";
import { policiesSection, worthTiming } from "./policies_report.ts";
import { keepRatios, speedupsOf } from "./policies_speeds.ts";
import { type PlanMaking, policyVariants, waysBeside } from "./policies_study.ts";
import type { Found } from "./trade_off_figure.ts";
import { variantKey } from "./rivals.ts";
import { replaceSection } from "./trade_off_report.ts";
import { known, measure, readJson, type Study } from "./trade_off_study.ts";

const PLANS = new URL("../../plans/", import.meta.url);
/** Models of the figure. */
const MODELS = ["fashion-dit", "peeps-flux"];

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      model: { type: "string" },
      cache: { type: "string", default: ".cache/quality" },
      count: { type: "string", default: "20" },
      runs: { type: "string", default: "4" },
      only: { type: "string", multiple: true },
      time: { type: "string" },
      rounds: { type: "string", default: "1" },
      pictures: { type: "string", default: "4" },
      seconds: { type: "string", default: "120" },
      threads: { type: "string" },
      write: { type: "boolean", default: false },
    },
  });
  const backend = (values.time ?? "native") as BackendName; // openEngine() refuses others
  const threads = values.threads === undefined ? undefined : Number(values.threads);
  const pipeline = await openEngine({ model: values.model ?? FASHION_DIT, backend, threads });
  const { model } = pipeline;
  const [count, seed] = [Number(values.count), model.classes > 0 ? 100_000 : 500_000];
  const prompts = model.classes > 0
    ? undefined
    : avatarPrompts(count, seed).map(({ prompt }) => prompt);
  const study: Study = { pipeline, seed, prompts, folder: values.cache };
  try {
    const path = foundPath(values.cache, model.id);
    if (values.time !== undefined) {
      const ways = worthTiming(await readJson<Found[]>(path) ?? []);
      const timing = { rounds: Number(values.rounds), pictures: Number(values.pictures) };
      return await keepRatios(study, ways.map(({ variant }) => variant), {
        ...timing,
        seconds: Number(values.seconds),
      });
    }
    const found = await foundOf(study, count, {
      model: values.model ?? FASHION_DIT,
      runs: Number(values.runs),
      only: values.only,
      makes: !values.write,
    });
    if (values.only === undefined) await Deno.writeTextFile(path, JSON.stringify(found));
    const section = policiesSection(found, { seed });
    console.log(section);
    if (values.write) await write(values.cache, { id: model.id, section });
  } finally {
    await pipeline.close();
  }
}

/** What is found of every way, a group after the other: each is kept when it is whole. */
async function foundOf(
  study: Study,
  count: number,
  making: PlanMaking,
): Promise<readonly Found[]> {
  const groups = [await waysBeside(study), ...await policyVariants(study, making)];
  const speedups = await speedupsOf(study);
  const found: Found[] = [];
  for (const variants of groups) {
    console.error(variants[0]?.series);
    const near = making.makes ? measure : known;
    for (const each of await near(study, { count }, variants)) {
      found.push({ ...each, speedups: speedups(variantKey(each.variant)) });
    }
  }
  return found;
}

function foundPath(folder: string, id: string): string {
  return `${folder}/policies-${id}.json`;
}

async function write(
  folder: string,
  { id, section }: { readonly id: string; readonly section: string },
): Promise<void> {
  const path = new URL("policies.md", PLANS);
  const text = replaceSection(await Deno.readTextFile(path), `policies on ${id}`, section);
  await Deno.writeTextFile(path, text);
  const panels = await Promise.all(
    MODELS.map(async (id) => [id, await readJson<Found[]>(foundPath(folder, id)) ?? []] as const),
  );
  await Deno.writeTextFile(new URL("policies.svg", PLANS), policiesFigure(new Map(panels)));
}

if (import.meta.main) await main();
