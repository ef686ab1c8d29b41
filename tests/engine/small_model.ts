/** The small golden DiT (three blocks, width 48) as tests of the engine use it. */
import type { Executor } from "../../src/engine/executor.ts";
import type { Backend, Session } from "../../src/backend/backend.ts";
import { FeatureCache } from "../../src/engine/feature_cache.ts";
import { planTarget } from "../../src/engine/plan_facts.ts";
import { type GenerateOptions, resolveRequest } from "../../src/engine/request.ts";
import type { Run } from "../../src/engine/run.ts";
import type { Model } from "../../src/model/model.ts";
import { openModel } from "../../src/model/open_model.ts";
import type { PlanColumns, TokenScore } from "../../src/plan/columns.ts";
import { compilePlan, type Step } from "../../src/plan/compile.ts";
import { makePlan } from "../../src/plan/fit.ts";
import { linearSchedule } from "../../src/sampler/noise_schedule.ts";
import { rowsOf } from "../plan/example_plans.ts";

/** Marks of a row in which all six modules run. */
export const FULL = "......";

/** Opens it. */
export function openSmallModel(): Promise<Model> {
  return openModel(new URL("../golden/dit-a/", import.meta.url));
}

/** The steps of a plan with these rows, and perhaps numbers. */
export async function stepsOf(
  model: Model,
  rows: readonly string[],
  columns?: PlanColumns,
  tokenScore?: TokenScore,
): Promise<readonly Step[]> {
  const { times } = linearSchedule(rows.length);
  const target = await planTarget(model, { times, guidance: 1 });
  const plan = makePlan(target, rowsOf(rows), {
    policy: { name: "hand", parameters: {} },
    ...(columns !== undefined && { own: { times, columns, ...(tokenScore && { tokenScore }) } }),
  });
  return compilePlan(plan).steps;
}

/** A run of one picture without guidance, one step for each row of a plan. */
export async function runOf(
  model: Model,
  executor: Executor,
  rows: readonly string[],
  columns?: PlanColumns,
  tokenScore?: TokenScore,
): Promise<Run> {
  const options: GenerateOptions = { labels: [2], seed: 6, steps: rows.length, guidance: 1 };
  const steps = await stepsOf(model, rows, columns, tokenScore);
  const request = resolveRequest(model, options);
  return { model, executor, request, steps, features: new FeatureCache() };
}

/** What a backend in the middle may do to the calls of another. */
export interface Interference {
  /** Says that weights are bound in another way. */
  readonly weights?: Backend["weights"];
  /** Called before each load. */
  readonly onLoad?: (name: string) => void;
  /** Called before each run. */
  readonly onRun?: (name: string) => void;
  /** Whether a session whose run {@link onRun} stopped refuses every later one, as WebGPU's do. */
  readonly spoils?: boolean;
}

/** A backend whose calls are seen, and may be made to fail, before they reach the real one. */
export function interfere(
  backend: Backend,
  { weights = backend.weights, onLoad, onRun, spoils = false }: Interference,
): Backend {
  const spoilt = new Set<Session>();
  const watched = (session: Session): Session => ({
    name: session.name,
    get isSpoilt(): boolean {
      return session.isSpoilt === true || spoilt.has(session);
    },
    run: async (inputs, outputs) => {
      try {
        onRun?.(session.name);
      } catch (error) {
        if (spoils) spoilt.add(session);
        throw error;
      }
      if (spoilt.has(session)) throw new Error(`${session.name} is spoilt`);
      return await session.run(inputs, outputs);
    },
    dispose: () => session.dispose(),
  });
  return {
    name: backend.name,
    description: backend.description,
    weights,
    get live() {
      return backend.live;
    },
    load: async (model, options) => {
      onLoad?.(model.name);
      return watched(await backend.load(model, options));
    },
    upload: (tensor) => backend.upload(tensor),
    download: (value) => backend.download(value),
    dispose: () => backend.dispose(),
  };
}
