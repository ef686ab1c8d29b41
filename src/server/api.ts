/**
 * The bodies that clients send: from JSON of any shape to values that are never checked again.
 */

import { z } from "npm:zod@4.6.7";
import { DEFAULT_STRENGTH } from "../engine/edit_facts.ts";
import { describe, valueAt } from "../assets/json.ts";
import { RequestError } from "./request_error.ts";

/** What may be asked for at most. */
export interface RequestLimits {
  /** Sampling steps. */
  readonly steps: number;
  /** Pictures of one request. */
  readonly n: number;
}

const OUTPUT_FORMATS = ["png", "jpeg", "webp"] as const;

/** How pictures may be answered. */
export const RESPONSE_FORMATS = ["b64_json", "url"] as const;

export type ResponseFormat = (typeof RESPONSE_FORMATS)[number];

export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** Schemas of the bodies, for these limits. */
export type BodySchemas = ReturnType<typeof bodySchemas>;

/** Body of `POST /v1/images/generations`. */
export type ImagesBody = z.output<BodySchemas["images"]>;

/** Fields of `POST /v1/images/edits` beside its files. */
export type EditsBody = z.output<BodySchemas["edits"]>;

/** What both bodies have: a request for pictures. */
export type GenerationBody =
  & Omit<z.output<BodySchemas["job"]>, "previews" | "watched">
  & Partial<ImagesBody & EditsBody>;

/** Largest first seed: every picture's own is a safe integer. */
const MAX_SEED = Number.MAX_SAFE_INTEGER - 1000;

/** Most UTF-16 units of a prompt: as many as OpenAI's own takes. */
const MAX_PROMPT = 32_000;
const PROMPT = z.string().max(MAX_PROMPT)
  .refine(
    (text) => text.isWellFormed(),
    "must be of whole characters, no halves of surrogate pairs",
  );

/** Most letters of a policy: it may bring three numbers for each of some hundred steps. */
const MAX_POLICY = 10_000;

/** Query of `GET /v1/jobs`. */
export const JOBS_QUERY = z.strictObject({
  limit: z.string().regex(/^(?:[1-9]\d?|100)$/, "must be in 1 … 100").transform(Number)
    .default(20).describe("Most jobs of one answer, in 1 … 100; 20 unless given"),
  after: z.string().max(100).optional()
    .describe("Id of the job that the answer before ended with"),
  state: z.enum(["queued", "running", "completed", "failed", "cancelled"]).optional(),
});

/** Makes the schemas of a server that answers in some formats. */
// deno-lint-ignore explicit-function-return-type -- the schemas are the types of the bodies
export function bodySchemas(
  limits: RequestLimits,
  formats: readonly ResponseFormat[] = RESPONSE_FORMATS,
) {
  const shared = sharedFields(limits);
  const answered = {
    ...shared,
    response_format: orDefault(z.enum(formats), "b64_json", "How pictures are answered"),
    stream: orDefault(z.boolean(), false, "Whether to answer with events"),
    partial_images: orDefault(z.int().min(0).max(3), 0, "Previews of a stream"),
    quality: optional(z.enum(["auto", "standard", "hd", "low", "medium", "high"]), WITHOUT),
    background: optional(z.enum(["auto", "opaque", "transparent"]), WITHOUT),
    moderation: optional(z.enum(["auto", "low"]), WITHOUT),
  };
  return {
    images: z.strictObject({
      ...answered,
      style: optional(z.enum(["natural", "vivid"]), WITHOUT),
    }),
    edits: z.strictObject({
      ...answered,
      strength: orDefault(
        z.number().positive().max(1),
        DEFAULT_STRENGTH,
        "Share of the steps that run",
      ),
      input_fidelity: optional(z.enum(["high", "low"]), WITHOUT),
    }),
    job: z.strictObject({
      ...shared,
      previews: orDefault(z.boolean(), false, "Whether events bring previews"),
      watched: orDefault(z.boolean(), false, "Whether to cancel it when nobody follows its events"),
    }),
  };
}

/** Fields of every request for pictures. */
// deno-lint-ignore explicit-function-return-type -- as above
function sharedFields({ steps, n }: RequestLimits) {
  return {
    model: optional(z.string().min(1).max(200), "The first one unless given"),
    prompt: optional(PROMPT, "What to draw; for a model of classes, words that name one"),
    prompt_2: optional(PROMPT, "For the second text encoder"),
    negative_prompt: optional(PROMPT, "What to lead away from"),
    true_guidance_scale: optional(
      z.number().min(0).max(100),
      "How far from the negative prompt; above 1",
    ),
    label: optional(
      z.union([z.int().min(0), z.string().min(1).max(200)]),
      "A class instead of a prompt",
    ),
    n: orDefault(z.int().min(1).max(n), 1, "Pictures, of consecutive seeds"),
    size: orDefault(
      z.string().regex(/^(auto|[1-9]\d{0,4}x[1-9]\d{0,4})$/),
      "auto",
      "WIDTHxHEIGHT; the model's own is taken",
    ),
    seed: optional(z.int().min(-1).max(MAX_SEED), "Of the first picture; by lot if absent or -1"),
    steps: optional(z.int().min(1).max(steps), "Sampling steps; the plan's or the model's own"),
    sampler: optional(
      z.string().min(1).max(50),
      "Another solver, NAME[:SPACING]; see the capabilities",
    ),
    guidance_scale: optional(z.number().min(0).max(100), "Guidance; the model's own unless given"),
    plan: optional(z.string().min(1).max(200), "auto, none, or a plan's id"),
    policy: optional(
      z.string().min(1).max(MAX_POLICY),
      "Decides at each step instead of a plan, NAME[:SETTING=NUMBER,…]; see the capabilities",
    ),
    output_format: orDefault(z.enum(OUTPUT_FORMATS), "png", "Format of the pictures"),
    output_compression: optional(z.int().min(0).max(100), "Quality of JPEG and WebP"),
    user: optional(z.string().max(512), WITHOUT),
  };
}

/** Of a field that clients of OpenAI send. */
const WITHOUT = "Without a meaning here";

/**
 * Fields of OpenAI's API without a meaning here. Clients send them by default, so they are accepted where
 * that API knows the value.
 *
 * *Source:* OpenAI API reference, "Create image" and "Create image edit".
 */
const WITHOUT_MEANING = [
  "quality",
  "style",
  "background",
  "moderation",
  "user",
  "input_fidelity",
] as const;
/** Their values that say what is done anyway. */
const DONE_ANYWAY: ReadonlySet<unknown> = new Set([undefined, "auto", "opaque"]);

/** Names of the fields of a request that change nothing, though their values ask for something. */
export function ignoredFields(body: Partial<ImagesBody & EditsBody>): readonly string[] {
  return WITHOUT_MEANING.filter((name) => !DONE_ANYWAY.has(body[name]));
}

/** A field that may be absent or, as OpenAI's clients write it, null. */
function optional<T extends z.ZodType>(
  type: T,
  about: string,
): z.ZodType<z.output<T> | undefined> {
  const field = type.nullish().transform((value) => value ?? undefined).describe(about);
  return field as z.ZodType<z.output<T> | undefined>; // zod cannot see that ?? leaves no null
}

function orDefault<T extends z.ZodType>(
  type: T,
  value: z.output<T>,
  about: string,
): z.ZodType<z.output<T>> {
  const field = type.nullish().transform((given) => given ?? value);
  return field.describe(`${about}; ${value} unless given`) as z.ZodType<z.output<T>>; // as above
}

/**
 * Checks a body, or a query.
 *
 * @param act What cannot be done otherwise.
 * @throws {RequestError} 400, naming the first field at fault.
 */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown, act: string = "generate"): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!; // a failed parse has at least one
  const unknown = issue.code === "unrecognized_keys" ? issue.keys[0] : undefined;
  const param = unknown ?? (issue.path.length > 0 ? issue.path.join(".") : undefined);
  const what = unknown === undefined
    ? `${param ?? "body"}: ${issue.message}: current value is ${
      describe(valueAt(body, issue.path))
    }`
    : `${unknown} must not be given: this server does not have it`;
  throw new RequestError(`Cannot ${act}: ${what}`, { code: "invalid_value", param });
}
