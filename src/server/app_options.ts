/**
 * What a server is made of.
 */

import type { NamedPlan } from "../engine/bundled_plans.ts";
import type { CompiledDecoders } from "../image/lossy_decoders.ts";
import type { Renderer } from "../worker/renderer.ts";
import type { RequestLimits } from "./api.ts";
import type { OpenQueue, QueueBounds } from "./job_queue.ts";
import type { AccessEntry, JobEntry } from "./log_entries.ts";
import type { PageAssets } from "./page_assets.ts";
import type { RateLimit } from "./rates.ts";
import type { BodyBounds } from "./read_body.ts";

/** What a server serves, and within which bounds. */
export interface AppOptions {
  /** What generates; several of one model share its requests. While they open, the server answers 503. */
  readonly renderers: readonly Renderer[] | Promise<readonly Renderer[]>;
  /** Where jobs wait that several servers share; the memory of this one unless given. */
  readonly queue?: OpenQueue | undefined;
  /**
   * Whether clients may ask it; true unless given. False where a process only draws what other servers took into
   * a shared queue: it answers health, readiness and metrics.
   */
  readonly takesRequests?: boolean | undefined;
  /** Reopens a renderer whose device or worker failed. */
  readonly reopen?: (failed: Renderer) => Promise<Renderer>;
  /** Cache plans; the bundled ones unless given. */
  readonly plans?: readonly NamedPlan[];
  /** Plan of requests that name none: `auto` (unless given), `none` or a plan's id. */
  readonly defaultPlan?: string;
  /**
   * Whether the server keeps jobs, and pictures that are answered as URLs, between requests; true unless
   * given. False where requests reach isolates that share no memory.
   */
  readonly jobs?: boolean;
  /** Keys, or `sha256:` and their digests, one of which a client must send; without any, no key is needed. */
  readonly apiKeys?: readonly string[];
  /** How often each key may ask. */
  readonly rateLimit?: RateLimit | undefined;
  /** Origins whose pages may ask; none but our own unless given. */
  readonly corsOrigins?: readonly string[] | undefined;
  /** Origins whose pages may show ours in a frame, such as `https://example.com`; none unless given. */
  readonly frameOrigins?: readonly string[] | undefined;
  /**
   * Names that requests may call the host by, beside `localhost` and addresses; any unless given. A server without
   * keys that only this machine reaches needs the list: else a page whose name leads here could use it.
   */
  readonly hosts?: readonly string[] | undefined;
  /** Bounds; each has a default. */
  readonly limits?: Partial<ServerLimits>;
  /** What the page needs to generate in the browser; without it the page generates on the server only. */
  readonly page?: PageAssets;
  /** Decoders of pictures to edit, for hosts that compile none; PNG needs none. */
  readonly decoders?: CompiledDecoders | undefined;
  /** URL at which clients reach the server, path included; that of each request unless given. */
  readonly publicUrl?: string | undefined;
  /** Called for each request. */
  readonly log?: (entry: AccessEntry) => void;
  /** Called for each job that this process draws: when it begins, and when it has ended. */
  readonly logJob?: (entry: JobEntry) => void;
  /** Called for each error of the server with the request's id; refusals, such as of a full queue, are none. */
  readonly onError?: (error: unknown, id: string) => void;
}

/** Bounds of a server. */
export interface ServerLimits extends RequestLimits, QueueBounds {
  /** A request's body. */
  readonly body: BodyBounds;
  /** A request's body with pictures in it. */
  readonly upload: BodyBounds;
  /** Pixels from which on a picture in it is refused, before it is decoded to four bytes each. */
  readonly uploadPixels: number;
  /** Most finished jobs, and most pictures answered as URLs, that are kept. */
  readonly kept: number;
  /** Seconds that they are kept. */
  readonly keptSeconds: number;
}

/** Most seconds of a bound: a timer of over 24.8 days would go off at once. */
export const MOST_SECONDS = 2_000_000;

/** Default bounds. */
export const DEFAULT_LIMITS: ServerLimits = {
  steps: 250,
  n: 10,
  queue: 32,
  batch: 8,
  body: { bytes: 640 * 1024, seconds: 10 }, // three of the longest prompts, each letter escaped
  upload: { bytes: 20e6, seconds: 60 },
  uploadPixels: 25e6,
  deadlineSeconds: 600,
  unwatchedSeconds: 15,
  kept: 200,
  keptSeconds: 600,
};

/**
 * The bounds of a server.
 *
 * @throws {RangeError} When one that a timer keeps is none, or longer than a timer can be.
 */
export function limitsOf(given: Partial<ServerLimits> = {}): ServerLimits {
  const limits = { ...DEFAULT_LIMITS, ...given };
  const timed = {
    "body.seconds": limits.body.seconds,
    "upload.seconds": limits.upload.seconds,
    deadlineSeconds: limits.deadlineSeconds,
    unwatchedSeconds: limits.unwatchedSeconds,
  };
  for (const [name, seconds] of Object.entries(timed)) {
    if (seconds > 0 && seconds <= MOST_SECONDS) continue;
    throw new RangeError(
      `Cannot make app: limits.${name} must be above 0 and at most ${MOST_SECONDS}: ` +
        `current value is ${seconds}`,
    );
  }
  return limits;
}
