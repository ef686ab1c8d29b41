/**
 * The options of `serve`: from words to values.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { z } from "zod";
import { MODEL_FIELDS, MODEL_WORDS, type ModelOptions } from "./open.ts";

/** What `serve` was asked to do. */
export interface ServeCommand extends ModelOptions {
  /** Port; 0 takes a free one. */
  readonly port: number;
  /** Address to listen on. */
  readonly host: string;
  /** Safetensors with what requests choose from, for a model of text. */
  readonly conditions?: string;
  /** `auto`, `none`, the name of a bundled plan, or a file. */
  readonly plan: string;
  /** Workers, each with a copy of the model; 0 draws on the server's own thread. */
  readonly workers: number;
  /** File with one key a line. */
  readonly apiKeyFile?: string;
  /** Requests that each key may make in a minute. */
  readonly rate?: number;
  /** Origins whose pages may ask. */
  readonly cors?: readonly string[];
  /** Where clients reach the server. */
  readonly publicUrl?: string;
  /** Jobs that may wait. */
  readonly queue?: number;
  /** Most sampling steps of a request. */
  readonly maxSteps?: number;
  /** Seconds from request to pictures. */
  readonly deadline?: number;
  /** Whether requests are logged. */
  readonly quiet: boolean;
}

/** How `serve` is called. */
export const SERVE_USAGE = `serve options:
  --port P                port; 0 takes a free one (8000)
  --host ADDRESS          address to listen on (127.0.0.1: this machine only)
  --model DIR|FILE|URL    as for generate; of hf:// and cached+ what fetch brought (the embedded fashion-dit)
  --conditions FILE       for a model of text: safetensors with text (n,M,W), pooled (n,P) and image_ids
                          (T,axes), and in its metadata prompts, a JSON array: the names of the rows
  --plan NAME|FILE        cache plan of requests that name none; auto, none (auto)
  --sampler original      as for generate
  --backend NAME          auto, webgpu, native or wasm (auto)
  --threads N             threads of wasm and native in each worker (all cores, shared)
  --weights P             precision of weights: f32, int8 or int4 (f32, or as the model was packed)
  --workers N             workers, each with a copy of the model; 0 is the server's own thread (1)
  --api-key-file FILE     one key a line; so does INVARDIFF_API_KEYS, keys by commas (no keys)
  --rate N                requests a minute of each key (no limit)
  --cors ORIGIN,…         origins whose pages may ask (none)
  --public-url URL        where clients reach the server, for the URLs of pictures
  --queue N               jobs that may wait (32)
  --max-steps T           most sampling steps of a request (250)
  --deadline SECONDS      longest time from request to pictures (600)
  --quiet                 no line for each request`;

const OPTIONS = {
  ...MODEL_WORDS,
  port: { type: "string" },
  host: { type: "string" },
  conditions: { type: "string" },
  plan: { type: "string" },
  workers: { type: "string" },
  "api-key-file": { type: "string" },
  rate: { type: "string" },
  cors: { type: "string" },
  "public-url": { type: "string" },
  queue: { type: "string" },
  "max-steps": { type: "string" },
  deadline: { type: "string" },
  quiet: { type: "boolean" },
} as const;

const whole = z.string().regex(/^\d{1,9}$/, "must be a whole number").transform(Number);
const positive = whole.refine((n) => n >= 1, "must be at least 1");
const own = z.object({
  port: whole.refine((n) => n <= 65535, "must be at most 65535"),
  host: z.string().min(1),
  conditions: z.string().min(1),
  plan: z.string().min(1),
  workers: whole.refine((n) => n <= 64, "must be at most 64"),
  "api-key-file": z.string().min(1),
  rate: positive,
  cors: z.string().transform((text) => text.split(",").map((origin) => origin.trim())).pipe(
    z.array(z.url({ protocol: /^https?$/, error: "must be origins such as https://example.com" })),
  ),
  "public-url": z.url({ protocol: /^https?$/, error: "must be an http or https URL" }),
  queue: positive,
  "max-steps": positive.refine((n) => n <= 1000, "must be at most 1000"),
  deadline: positive,
  quiet: z.boolean(),
}).partial();
const schema = own.extend(MODEL_FIELDS);

/**
 * Parses the command line of `serve`.
 *
 * @throws {TypeError} When an option is unknown or malformed.
 */
export function parseServe(args: readonly string[]): ServeCommand {
  const { values } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: false });
  const parsed = schema.safeParse(values);
  if (!parsed.success) {
    const { path: [option], message } = parsed.error.issues[0]!; // a failed parse has at least one
    const given = Reflect.get(values, option!);
    throw new TypeError(`Cannot serve: --${String(option)}: ${message}: current value is ${given}`);
  }
  const { port, host, plan, backend, workers, quiet, ...rest } = parsed.data;
  return {
    port: port ?? 8000,
    host: host ?? "127.0.0.1",
    plan: plan ?? "auto",
    backend,
    workers: workers ?? 1,
    quiet: quiet ?? false,
    ...renamed(rest),
  };
}

type Parsed = z.infer<typeof schema>;

/** Options that were given, by the names of our own. */
function renamed(
  given: Omit<Parsed, "port" | "host" | "plan" | "backend" | "workers" | "quiet">,
): Partial<ServeCommand> {
  const { model, sampler, weights, conditions, threads, rate, cors, queue, deadline } = given;
  const all = {
    model,
    sampler,
    conditions,
    threads,
    weights,
    rate,
    cors,
    queue,
    deadline,
    apiKeyFile: given["api-key-file"],
    publicUrl: given["public-url"],
    maxSteps: given["max-steps"],
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
