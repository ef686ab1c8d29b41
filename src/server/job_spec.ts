/**
 * What a job generates: a request with every default filled in and every value checked.
 */

import { fullSteps } from "../engine/segment/step_segments.ts";
import { stepsLeft } from "../engine/begin.ts";
import { fasterPlans } from "../engine/faster_plans.ts";
import { stepsLeftOut } from "../engine/edit_facts.ts";
import type { FittedEdit } from "../engine/request_edit.ts";
import type { Step, StepKind } from "../plan/compile.ts";
import { stepMacs } from "../plan/cost.ts";
import { kindOf } from "../plan/step_counts.ts";
import { chooseSampler } from "../sampler/choose_sampler.ts";
import type { SamplerDefaults } from "../sampler/config.ts";
import { makeSampler } from "../sampler/solvers.ts";
import type { PictureRequest } from "../worker/renderer.ts";
import { type GenerationBody, ignoredFields, type OutputFormat } from "./api.ts";
import {
  type Catalog,
  findServedModel,
  requestedPlan,
  type ServedModel,
  type ServedPlan,
} from "./catalog.ts";
import { wantedPolicy } from "./wanted_policy.ts";
import { refuse, RequestError } from "./request_error.ts";
import { isTrulyGuided, subjectOf } from "./subject.ts";

export interface JobSpec {
  readonly model: ServedModel;
  /** Its pictures: one prompt or label, one guidance scale, consecutive seeds. */
  readonly pictures: readonly PictureRequest[];
  /** How far to lead away from a negative prompt, as it was asked for. */
  readonly trueGuidance?: number;
  readonly steps: number;
  /** Another solver than the model's, and how its times are spread. */
  readonly sampler?: string | undefined;
  /** What the pictures begin from; absent = noise alone. */
  readonly edit?: FittedEdit | undefined;
  /** The plan; without one every step runs in full. */
  readonly plan: ServedPlan | undefined;
  /** What decides at each step of each picture, in place of a plan; as it was asked for. */
  readonly policy?: string | undefined;
  /** What each step does; where a policy decides, what it does at most. */
  readonly program: readonly Step[];
  /** Multiply-accumulates of each step, all pictures and both halves of guidance. */
  readonly costs: readonly number[];
  readonly format: OutputFormat;
  /** Quality of JPEG and WebP, 0 … 100. */
  readonly compression: number | undefined;
  /** Indices of the steps after which a preview is wanted. */
  readonly previewSteps: ReadonlySet<number>;
  /** What of the request was not done as it says, in sentences. */
  readonly notices: readonly string[];
}

/** What a request may leave out. */
export interface SpecDefaults {
  /** `auto`, `none` or a plan's id. */
  readonly plan: string;
  /** Most steps of a request, also of those that a plan or a model brings. */
  readonly maxSteps: number;
}

/**
 * Resolves a request.
 *
 * @throws {RequestError} 400 or 404, naming the field at fault.
 */
export function resolveSpec(
  catalog: Catalog,
  body: GenerationBody,
  { previews, defaults }: {
    readonly previews: number | "all";
    readonly defaults: SpecDefaults;
  },
): JobSpec {
  const model = findServedModel(catalog, body.model);
  expectPixels(model);
  if (body.strength !== undefined) expectEdits(model);
  expectSubjects(model);
  const policy = wantedPolicy(body, model);
  const word = policy === undefined ? body.plan ?? defaults.plan : "none";
  const plan = planOf(catalog, model, { body, word });
  const steps = body.steps ?? plan?.steps.length ?? stepsOf(model, body.sampler);
  if (steps > defaults.maxSteps) refuse("steps", `at most ${defaults.maxSteps}`, steps);
  expectSampler(model, body.sampler, steps);
  const { trueGuidance, ...asked } = subjectOf(body, model);
  const guidance = guidanceOf(body, model);
  const random = crypto.getRandomValues(new Uint32Array(1))[0]!; // one was asked for
  const seed = body.seed === undefined || body.seed < 0 ? random : body.seed;
  const program = programOf(model, plan, { ...body, steps });
  const hasHalves = model.facts.takesPrompts
    ? isTrulyGuided(asked.prompt, trueGuidance)
    : guidance !== 1;
  return {
    model,
    pictures: Array.from({ length: body.n }, (_, i) => ({ ...asked, seed: seed + i, guidance })),
    ...(trueGuidance !== undefined && { trueGuidance }),
    steps,
    sampler: body.sampler,
    plan,
    ...(policy !== undefined && { policy }),
    program,
    costs: program.map((step) => stepMacs(step, model.facts.cost) * body.n * (hasHalves ? 2 : 1)),
    format: body.output_format,
    compression: body.output_compression,
    previewSteps: previewSteps(previews, program.length),
    notices: [...noticesOf(body, model), ...fasterThan(body, model, { plan, word })],
  };
}

/** What each step is planned to do; none where that is decided at each step. */
export function plannedKinds({ program, policy }: JobSpec): readonly StepKind[] {
  return policy === undefined ? program.map(kindOf) : [];
}

/** Whether two jobs can run in one batch. */
export function isAlike(a: JobSpec, b: JobSpec): boolean {
  const keys = ["model", "plan", "policy", "steps", "sampler", "trueGuidance", "edit"] as const; // edits are alone
  return keys.every((key) => a[key] === b[key]) && isGuided(a) === isGuided(b) &&
    isNegative(a) === isNegative(b);
}

function isGuided({ pictures: [first] }: JobSpec): boolean {
  return first!.guidance !== 1; // at least one
}

function isNegative({ pictures: [first] }: JobSpec): boolean {
  return first!.prompt?.negativePrompt !== undefined; // as above
}

/** The plan of a request; none is made for a solver that the request chooses. */
function planOf(
  catalog: Catalog,
  model: ServedModel,
  { body: { plan: asked, sampler, steps }, word }: {
    readonly body: GenerationBody;
    readonly word: string;
  },
): ServedPlan | undefined {
  if (sampler === undefined) return requestedPlan(catalog, model, { word, steps });
  if (asked === undefined || asked === "auto" || asked === "none") return undefined;
  return refuse("sampler", "absent beside a plan, which has its own", sampler);
}

/** What each step does; of an edit the last steps. */
function programOf(
  { facts: { modules, sampler: own } }: ServedModel,
  plan: ServedPlan | undefined,
  { steps, sampler, strength }: Pick<GenerationBody, "sampler" | "strength"> & {
    readonly steps: number;
  },
): readonly Step[] {
  const from = strength === undefined ? 0 : stepsLeftOut(steps, strength);
  if (from === 0) return plan?.steps ?? fullSteps(steps, modules.length);
  const config = sampler === undefined ? own : chosen(own, sampler);
  return stepsLeft(config, { steps, from, plan: plan?.plan, modules: modules.length });
}

function stepsOf({ facts }: ServedModel, sampler: string | undefined): number {
  return sampler === undefined ? facts.sampler.steps : chosen(facts.sampler, sampler).steps;
}

/** Refuses a solver that the model does not have, or steps that the solver cannot take. */
function expectSampler(
  { facts }: ServedModel,
  sampler: string | undefined,
  steps: number,
): void {
  if (sampler === undefined) return;
  const config = chosen(facts.sampler, sampler);
  orRefuse("steps", () => makeSampler(config, { steps, tokens: 1 })); // times shift with tokens, no more
}

function chosen(own: SamplerDefaults, word: string): SamplerDefaults {
  return orRefuse("sampler", () => chooseSampler(own, word));
}

/** What is made; a RangeError of it is the client's. */
function orRefuse<T>(param: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RequestError(error.message, { code: "invalid_value", param });
  }
}

/** The first of a few previews comes after this share of the steps. */
const FIRST_PREVIEW = 0.1;

/** Steps after which there are previews: the first early, the others spread evenly, never the last step. */
export function previewSteps(count: number | "all", steps: number): ReadonlySet<number> {
  const most = steps - 1;
  if (count === "all") return new Set(Array.from({ length: most }, (_, index) => index));
  const wanted = Math.min(count, most);
  return new Set(Array.from({ length: wanted }, (_, i) => {
    return Math.floor((FIRST_PREVIEW + (1 - FIRST_PREVIEW) * i / wanted) * steps);
  }));
}

function guidanceOf(
  { guidance_scale: wanted }: GenerationBody,
  { facts: { guidable, sampler } }: ServedModel,
): number {
  const guidance = wanted ?? (guidable ? sampler.guidance : 1);
  if (guidance === 1 || guidable) return guidance;
  return refuse("guidance_scale", "1 for a model without a null label", guidance);
}

function expectPixels({ facts: { id, latent: [channels], picture } }: ServedModel): void {
  if (picture !== undefined) return;
  throw new RequestError(
    `Cannot generate: latents of ${id} must have 1 or 3 channels, others need an autoencoder: ` +
      `current value is ${channels}`,
    { code: "unsupported_model", param: "model" },
  );
}

function expectEdits({ facts: { id, edits } }: ServedModel): void {
  if (edits) return;
  throw new RequestError(
    `Cannot generate: ${id} cannot begin from a picture, for its autoencoder has no encoder`,
    { code: "unsupported_model", param: "model" },
  );
}

/** A text-conditioned model without encoders generates from the conditions that the server was started with. */
function expectSubjects({ facts: { id, classes, takesPrompts } }: ServedModel): void {
  if (classes > 0 || takesPrompts) return;
  throw new RequestError(
    `Cannot generate: ${id} has no text encoders, so it needs conditions (serve --conditions FILE)`,
    { code: "unsupported_model", param: "model" },
  );
}

function noticesOf(body: GenerationBody, model: ServedModel): readonly string[] {
  const own = pictureSize(model);
  const ignored = ignoredFields(body);
  return [
    ...(body.size === "auto" || body.size === own
      ? []
      : [`The size is ${own}, the nearest to ${body.size} that the model has.`]),
    ...(ignored.length === 0 ? [] : [`Without a meaning here and ignored: ${ignored.join(", ")}.`]),
  ];
}

/** Plans that would be faster, where only the number of steps speaks against them. */
function fasterThan(
  { steps, sampler }: GenerationBody,
  { plans, facts: { cost } }: ServedModel,
  { plan, word }: { readonly plan: ServedPlan | undefined; readonly word: string },
): readonly string[] {
  if (word !== "auto" || plan !== undefined || steps === undefined || sampler !== undefined) {
    return [];
  }
  return [fasterPlans(plans, { steps, cost }) ?? []].flat();
}

/** `WIDTHxHEIGHT` of a model's pictures. */
export function pictureSize({ facts: { latent, picture = latent } }: ServedModel): string {
  const [, height, width] = picture;
  return `${width}x${height}`;
}
