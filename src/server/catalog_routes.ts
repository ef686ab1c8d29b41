/**
 * What there is: models, plans, and what this server can do.
 */

import { Hono } from "npm:hono@4.13.19";
import { ownsTimes } from "../engine/plan_sampler.ts";
import { predictSpeedup } from "../plan/cost.ts";
import { formatPlan } from "../plan/format.ts";
import { renderSvg } from "../plan/render/svg.ts";
import { kindOf } from "../plan/step_counts.ts";
import {
  findServedModel,
  findServedPlan,
  requestedPlan,
  type ServedModel,
  type ServedPlan,
} from "./catalog.ts";
import { samplersBeside } from "../sampler/solvers.ts";
import type { ServerState } from "./server_state.ts";
import { usableFormats } from "./encode.ts";

/** What the capabilities tell beside limits. */
export interface ServerFeatures {
  /** `METHOD /path` of every route that works here. */
  readonly routes: readonly string[];
  /** How clients prove who they are. */
  readonly auth: "none" | "bearer";
  readonly version: string;
}

export function catalogRoutes(server: ServerState, features: ServerFeatures): Hono {
  const app = new Hono();
  app.get("/v1/models", (context) => {
    const { models } = server.catalog;
    return context.json({ object: "list", data: models.map((model) => modelView(server, model)) });
  });
  app.get("/v1/models/:id", (context) => {
    return context.json(
      modelView(server, findServedModel(server.catalog, context.req.param("id"))),
    );
  });
  app.get("/v1/plans", (context) => {
    const { models, plans } = server.catalog;
    return context.json({ object: "list", data: plans.map((plan) => planSummary(plan, models)) });
  });
  app.get("/v1/plans/:file", (context) => {
    const file = context.req.param("file");
    const svg = file.endsWith(".svg");
    const { plan } = findServedPlan(server.catalog, svg ? file.slice(0, -".svg".length) : file);
    return svg
      ? context.body(renderSvg(plan), 200, { "content-type": "image/svg+xml" })
      : context.body(formatPlan(plan), 200, { "content-type": "application/json" });
  });
  app.get("/v1/capabilities", async (context) => {
    return context.json(await capabilities(server, features));
  });
  return app;
}

function modelView(server: ServerState, model: ServedModel): Readonly<Record<string, unknown>> {
  const { facts, plans } = model;
  const asked = server.defaults.plan;
  const fits = asked === "auto" || plans.some(({ name }) => name === asked);
  const word = fits ? asked : "none";
  const standard = requestedPlan(server.catalog, model, { word, steps: undefined });
  return {
    id: facts.id,
    object: "model",
    created: server.catalog.created,
    owned_by: "local",
    architecture: facts.architecture,
    latent: facts.latent,
    picture: facts.picture ?? null,
    takes_prompts: facts.takesPrompts,
    prompts: facts.prompts ?? null,
    classes: Array.from({ length: facts.classes }, (_, label) => ({
      label,
      name: facts.classNames[label] ?? `${label}`,
    })),
    edits: facts.edits,
    guidable: facts.guidable,
    sampler: facts.sampler,
    samplers: samplersBeside(facts.sampler.name),
    policies: facts.policies,
    fingerprint: facts.fingerprint,
    backend: facts.backend,
    plans: plans.map(({ name }) => name),
    default_plan: standard?.name ?? null,
  };
}

function planSummary(
  served: ServedPlan,
  models: readonly ServedModel[],
): Readonly<Record<string, unknown>> {
  const { name, plan, digest, steps, maxStaleness } = served;
  const fitting = models.filter(({ plans }) => plans.includes(served));
  const [model] = fitting;
  return {
    id: name,
    object: "plan",
    models: fitting.map(({ facts }) => facts.id),
    architecture: plan.architecture,
    sampler: plan.sampler.name,
    steps: plan.sampler.times.length,
    owns_times: ownsTimes(plan),
    policy: plan.policy,
    digest,
    predicted_speedup: model === undefined ? null : predictSpeedup(served, model.facts.cost),
    max_staleness: maxStaleness,
    kinds: steps.map(kindOf),
    measured: plan.measured ?? null,
  };
}

async function capabilities(
  server: ServerState,
  { routes, auth, version }: ServerFeatures,
): Promise<Readonly<Record<string, unknown>>> {
  const { catalog: { models, plans }, limits } = server;
  return {
    object: "capabilities",
    version,
    models: models.map(({ facts }) => facts.id),
    prompt_models: models.filter(({ facts }) => facts.takesPrompts).map(({ facts }) => facts.id),
    edit_models: models.filter(({ facts }) => facts.edits).map(({ facts }) => facts.id),
    plans: plans.map(({ name }) => name),
    samplers: samplersOf(models),
    policies: [...new Set(models.flatMap(({ facts }) => facts.policies))],
    backends: [...new Set(models.map(({ facts }) => facts.backend.description))],
    output_formats: await usableFormats(),
    response_formats: server.responseFormats,
    limits: {
      steps: limits.steps,
      n: limits.n,
      partial_images: 3,
      queue: limits.queue,
      max_batch: limits.batch,
      body_bytes: limits.body.bytes,
      upload_bytes: limits.upload.bytes,
      upload_pixels: limits.uploadPixels,
      deadline_seconds: limits.deadlineSeconds,
      kept_seconds: limits.keptSeconds,
    },
    routes,
    auth,
  };
}

/** Names of the solvers that some model here may be sampled by, the models' own first. */
function samplersOf(models: readonly ServedModel[]): readonly string[] {
  const own = models.map(({ facts }) => facts.sampler.name);
  return [...new Set([...own, ...own.flatMap(samplersBeside)])];
}
