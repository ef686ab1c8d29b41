/**
 * The options of `serve`.
 */

import process from "node:process";
import { DEFAULT_LIMITS, MOST_SECONDS } from "../server/app_options.ts";
import { ORIGIN } from "../server/origin.ts";
import { MODEL_OPTIONS } from "./open.ts";
import { choice, file, list, queueUrl, text, webUrl, whole } from "./option_readers.ts";
import { type Asked, flag, option, table } from "./options.ts";

const count = whole(1, 999_999_999);
const seconds = whole(1, MOST_SECONDS);
const origins = list(
  text("an origin", (word) => URL.canParse(word) && /^https?:\/\/[^/]+$/i.test(word)),
  "origins such as https://example.com",
);

const frames = list(
  text("an origin", (word) => ORIGIN.test(word)),
  "origins such as https://example.com or https://*.example.com",
);

/** The address of a shared queue, as it was asked for or as the environment has it. */
export function queueOf(asked: string | undefined): string | undefined {
  const set = process.env["INVARDIFF_QUEUE"];
  return asked ?? (set === "" ? undefined : set);
}

export const SERVE = table({
  name: "serve",
  summary: "an HTTP server with a page",
  options: {
    port: option(whole(0, 65535), "P  port; 0 takes a free one", { or: 8000 }),
    host: option(text("an address"), "ADDRESS  address to listen on", { or: "127.0.0.1" }),
    ...MODEL_OPTIONS,
    conditions: option(file(), "FILE  what requests choose from, for a model of text; see below"),
    plan: option(text("a plan"), "NAME|FILE  plan of requests that name none", { or: "auto" }),
    workers: option(whole(0, 64), "N  copies of the model; 0 is the server's thread", { or: 1 }),
    apiKeyFile: option(file(), "FILE  one key a line; INVARDIFF_API_KEYS has them by commas"),
    rate: option(count, "N  requests for pictures a minute of each key (no limit)"),
    cors: option(origins, "ORIGIN,…  origins whose pages may ask (none)"),
    allowFrame: option(frames, "ORIGIN,…  origins whose pages may show ours in a frame (none)"),
    publicUrl: option(webUrl(), "URL  where clients reach the server, for the URLs of pictures"),
    queue: option(
      queueUrl(),
      "URL  a queue that servers share; INVARDIFF_QUEUE has it too (this server's memory)",
    ),
    role: option(
      choice(["api", "worker", "both"]),
      "R  of a shared queue: api takes requests, worker draws",
      { or: "both" },
    ),
    results: option(
      text(
        "file:///… or s3://…",
        (word) => /^(?:file:\/\/|s3:\/\/.)/.test(word) && URL.canParse(word),
      ),
      "URL  of a shared queue: a folder or bucket that keeps pictures (the queue)",
    ),
    lease: option(seconds, "SECONDS  without a sign of life after which a worker is lost", {
      or: 30,
    }),
    queueLimit: option(count, "N  jobs that may wait", { or: DEFAULT_LIMITS.queue }),
    maxSteps: option(whole(1, 1000), "T  most steps of a request", { or: DEFAULT_LIMITS.steps }),
    deadline: option(seconds, "SECONDS  from request to pictures", {
      or: DEFAULT_LIMITS.deadlineSeconds,
    }),
    stepDeadline: option(
      seconds,
      "SECONDS  for one step; a copy of the model that takes longer hangs",
      {
        or: 300,
      },
    ),
    quiet: flag("no line for each request"),
  },
  forbidden: [[
    "role",
    "without a shared queue",
    ({ queue, role }) => role !== "both" && queueOf(queue) === undefined,
  ], ["results", "without a shared queue", ({ queue }) => queueOf(queue) === undefined]],
  notes:
    `The safetensors of --conditions hold text (n,M,W), pooled (n,P) and image_ids (T,axes), and in
their metadata prompts, a JSON array: the names of the rows.`,
});

export type ServeCommand = Asked<typeof SERVE>;
