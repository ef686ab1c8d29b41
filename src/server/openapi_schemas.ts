/**
 * What the server's answers are, as JSON Schema. A test holds real answers against them.
 *
 * *Source:* JSON Schema 2020-12, which OpenAPI 3.1 takes as it is.
 */

type Schema = Readonly<Record<string, unknown>>;

const text: Schema = { type: "string" };
const flag: Schema = { type: "boolean" };
const number: Schema = { type: "number" };
const whole: Schema = { type: "integer" };
const unixSeconds: Schema = { type: "number", description: "Unix time in seconds" };
const kinds: Schema = {
  type: "array",
  items: { enum: ["full", "mixed", "reuse", "forecast"] },
  description: "What each step does; of a job none where a policy decides, as events tell",
};

/** A named schema of the document. */
function named(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

function orNull(schema: Schema): Schema {
  return { anyOf: [schema, { type: "null" }] };
}

function listOf(items: Schema): Schema {
  return { type: "array", items };
}

/** An object of exactly these properties; those whose names end in `?` may be absent. */
function record(properties: Readonly<Record<string, Schema>>, description?: string): Schema {
  const names = Object.keys(properties);
  return {
    type: "object",
    ...(description !== undefined && { description }),
    required: names.filter((name) => !name.endsWith("?")),
    properties: Object.fromEntries(
      Object.entries(properties).map(([name, schema]) => [name.replace(/\?$/, ""), schema]),
    ),
    additionalProperties: false,
  };
}

function page(items: Schema, more: Readonly<Record<string, Schema>> = {}): Schema {
  return record({ object: { const: "list" }, data: listOf(items), ...more });
}

/** What was asked, as a picture, a job and their events tell it. */
const PROMPTS = {
  "prompt?": text,
  "prompt_2?": text,
  "negative_prompt?": text,
  "true_guidance_scale?": number,
} as const;

const TOKENS = record({
  encoder: text,
  tokens: whole,
  limit: whole,
  omitted: whole,
  "negative?": { const: true },
}, "How much of a prompt a text encoder read");

const PLAN_BRIEF = record({ id: text, digest: text, predicted_speedup: number });

const POLICY = record(
  { word: text, reused: orNull(listOf(whole)) },
  "What decided at each step, and how many steps of each picture reused what was there",
);

const REQUEST = record({
  model: text,
  ...PROMPTS,
  labels: listOf(whole),
  label_names: listOf(text),
  seeds: listOf(whole),
  sampler: text,
  steps: whole,
  guidance_scale: number,
  size: text,
  output_format: text,
}, "With every default filled in");

const MODEL = record({
  id: text,
  object: { const: "model" },
  created: unixSeconds,
  owned_by: text,
  architecture: text,
  latent: { ...listOf(whole), description: "Channels, height, width" },
  picture: orNull(listOf(whole)),
  takes_prompts: flag,
  prompts: orNull({ type: "object", description: "Prompts that its authors recommend" }),
  classes: listOf(record({ label: whole, name: text })),
  edits: { ...flag, description: "Whether it can begin from a picture" },
  guidable: flag,
  sampler: { type: "object", description: "How it is sampled unless asked otherwise" },
  samplers: listOf(text),
  policies: { ...listOf(text), description: "What may decide at each step, instead of a plan" },
  fingerprint: { ...text, description: "Identity of its weights" },
  backend: record({ name: text, description: text, reason: text }),
  plans: listOf(text),
  default_plan: orNull(text),
});

const PLAN = record({
  id: text,
  object: { const: "plan" },
  models: listOf(text),
  architecture: text,
  sampler: text,
  steps: whole,
  owns_times: { ...flag, description: "Whether its times are its own: no other steps go with it" },
  policy: { type: "object" },
  digest: text,
  predicted_speedup: orNull(number),
  max_staleness: whole,
  kinds,
  measured: orNull({ type: "object", description: "What was measured when it was made" }),
});

const JOB = record({
  id: text,
  object: { const: "job" },
  state: { enum: ["queued", "running", "completed", "failed", "cancelled"] },
  queue_position: orNull(whole),
  step: { ...whole, description: "Steps that are done" },
  steps: whole,
  eta_seconds: orNull(number),
  created_at: unixSeconds,
  started_at: orNull(unixSeconds),
  finished_at: orNull(unixSeconds),
  trace_id: { ...text, description: "Of the request that it came with, as `traceparent` named it" },
  request: REQUEST,
  plan: orNull(PLAN_BRIEF),
  policy: orNull(POLICY),
  kinds,
  batch: orNull({ ...whole, description: "Pictures of its batch, with those of other jobs" }),
  seconds: orNull({ ...number, description: "That its steps took" }),
  images: listOf(
    record({ url: text, seed: whole, label: orNull(whole), width: whole, height: whole }),
  ),
  tokens: orNull(listOf(TOKENS)),
  notices: listOf(text),
  error: orNull(named("error_facts")),
});

const UNREADABLE_JOB = record({
  id: text,
  object: { const: "job" },
  state: text,
  error: named("error_facts"),
}, "One that this server cannot tell of: another version wrote it, or its model is gone");

const IMAGES = record({
  created: unixSeconds,
  data: listOf(record({ "b64_json?": text, "url?": text, seed: whole })),
  ...PROMPTS,
  model: text,
  size: text,
  output_format: text,
  background: text,
  quality: text,
  seed: { ...whole, description: "Of the first picture; the others' follow" },
  sampler: text,
  steps: whole,
  guidance_scale: number,
  plan: orNull(PLAN_BRIEF),
  policy: orNull(POLICY),
  "strength?": number,
  seconds: number,
  "tokens?": listOf(TOKENS),
  notices: listOf(text),
});

const CAPABILITIES = record({
  object: { const: "capabilities" },
  version: text,
  models: listOf(text),
  prompt_models: listOf(text),
  edit_models: listOf(text),
  plans: listOf(text),
  samplers: listOf(text),
  policies: listOf(text),
  backends: listOf(text),
  output_formats: listOf(text),
  response_formats: listOf(text),
  limits: { type: "object", additionalProperties: number },
  routes: listOf(text),
  auth: { enum: ["none", "bearer"] },
});

const ERROR_FACTS = record({
  message: text,
  type: text,
  param: orNull({ ...text, description: "The field at fault" }),
  code: { ...text, description: "A word for programs" },
});

/** Schemas of answers by name. */
export const ANSWERS: Readonly<Record<string, Schema>> = {
  images_answer: IMAGES,
  model: MODEL,
  models: page(named("model")),
  plan: PLAN,
  plans: page(named("plan")),
  plan_file: { type: "object", description: "A plan as `calibrate` writes it" },
  job_answer: JOB,
  unreadable_job: UNREADABLE_JOB,
  jobs: page({ anyOf: [named("job_answer"), named("unreadable_job")] }, {
    first_id: orNull(text),
    last_id: orNull(text),
    has_more: flag,
  }),
  capabilities: CAPABILITIES,
  health: record({ status: { const: "ok" } }),
  readiness: record({ status: { enum: ["ready", "loading", "failed", "draining"] } }),
  document: { type: "object" },
  error_facts: ERROR_FACTS,
  error: record({ error: named("error_facts") }),
};
