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
  & Omit<z.output<BodySchemas["job"]>, "previews">
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

/** Query of `GET /v1/jobs`. */
export const JOBS_QUERY = z.strictObject({
  /** Most jobs of one answer. */
  limit: z.string().regex(/^(?:[1-9]\d?|100)$/, "must be in 1 … 100").transform(Number)
    .default(20),
  /** Id of the job that the answer before ended with. */
  after: z.string().max(100).optional(),
  state: z.enum(["queued", "running", "completed", "failed", "cancelled"]).optional(),
});

/** Makes the schemas of a server that answers in some formats. */
// deno-lint-ignore explicit-function-return-type -- the schemas are the types of the bodies
export function bodySchemas(
  { steps, n }: RequestLimits,
  formats: readonly ResponseFormat[] = RESPONSE_FORMATS,
) {
  const shared = {
    model: optional(z.string().min(1).max(200)), // the first one unless given
    prompt: optional(PROMPT), // for a model of classes: words that name one
    prompt_2: optional(PROMPT), // for the second text encoder
    negative_prompt: optional(PROMPT),
    true_guidance_scale: optional(z.number().min(0).max(100)), // away from the negative prompt
    label: optional(z.union([z.int().min(0), z.string().min(1).max(200)])), // instead of a prompt
    n: orDefault(z.int().min(1).max(n), 1),
    size: orDefault(z.string().regex(/^(auto|[1-9]\d{0,4}x[1-9]\d{0,4})$/), "auto"),
    seed: optional(z.int().min(-1).max(MAX_SEED)), // of the first picture; -1 as none: a random one
    steps: optional(z.int().min(1).max(steps)),
    sampler: optional(z.string().min(1).max(50)), // a solver, and how its times are spread
    guidance_scale: optional(z.number().min(0).max(100)),
    plan: optional(z.string().min(1).max(200)), // auto, none or a plan's id
    output_format: orDefault(z.enum(OUTPUT_FORMATS), "png"),
    output_compression: optional(z.int().min(0).max(100)), // of JPEG and WebP
    user: optional(z.string().max(512)),
  };
  const answered = {
    ...shared,
    response_format: orDefault(z.enum(formats), "b64_json"),
    stream: orDefault(z.boolean(), false),
    partial_images: orDefault(z.int().min(0).max(3), 0),
    quality: optional(z.enum(["auto", "standard", "hd", "low", "medium", "high"])),
    background: optional(z.enum(["auto", "opaque", "transparent"])),
    moderation: optional(z.enum(["auto", "low"])),
  };
  return {
    images: z.strictObject({ ...answered, style: optional(z.enum(["natural", "vivid"])) }),
    edits: z.strictObject({
      ...answered,
      strength: orDefault(z.number().positive().max(1), DEFAULT_STRENGTH),
      input_fidelity: optional(z.enum(["high", "low"])),
    }),
    job: z.strictObject({ ...shared, previews: orDefault(z.boolean(), false) }),
  };
}

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
function optional<T extends z.ZodType>(type: T): z.ZodType<z.output<T> | undefined> {
  return type.nullish().transform((value) => value ?? undefined) as z.ZodType<
    z.output<T> | undefined
  >; // zod cannot see that ?? leaves no null
}

function orDefault<T extends z.ZodType>(type: T, value: z.output<T>): z.ZodType<z.output<T>> {
  return type.nullish().transform((given) => given ?? value) as z.ZodType<z.output<T>>; // as above
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
