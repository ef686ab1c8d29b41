/**
 * What routes need of jobs, wherever they wait and are drawn: in this process, or in others that share a store.
 */

import type { Tensor } from "../tensor/tensor.ts";
import type { RendererFacts } from "../worker/renderer.ts";
import type { BatchQueue } from "./batch_queue.ts";
import type { Catalog } from "./catalog.ts";
import type { LoggedEvent } from "./event_log.ts";
import type { JobResult, JobState, JobTimes } from "./job.ts";
import type { JobSpec, SpecDefaults } from "./job_spec.ts";
import type { Rates } from "./rates.ts";
import { RequestError } from "./request_error.ts";
import type { Retry } from "./retry.ts";

/** A job at a moment. */
export interface JobStatus {
  readonly id: string;
  readonly spec: JobSpec;
  readonly state: JobState;
  /** Steps that are done. */
  readonly step: number;
  /** Pictures of its batch, its own and those of other jobs; absent before it runs. */
  readonly batch: number | undefined;
  readonly times: JobTimes;
  /** A span of its trace, as a `traceparent`. */
  readonly span: string;
  /** Number of jobs ahead of it; absent when it does not wait. */
  readonly position: number | undefined;
  /** Seconds until it ends; absent before any step was measured, and when it has ended. */
  readonly eta: number | undefined;
  /** What is told of its pictures; absent until it is completed. */
  readonly result: Omit<JobResult, "latents" | "images"> | undefined;
  readonly error: unknown;
}

/** A job as routes see it. */
export interface QueuedJob {
  /** Random, so that nobody can guess it. */
  readonly id: string;
  readonly spec: JobSpec;
  status(): Promise<JobStatus>;
  /** What is logged after an event, as it comes, until the job ends or the signal is aborted. */
  events(after: number, signal: AbortSignal): AsyncIterable<LoggedEvent>;
  /** Cancels it, if it is open. Other jobs of its batch go on. */
  cancel(): Promise<void>;
  /** Each picture of a completed job, encoded as was asked for. */
  images(): Promise<readonly Uint8Array<ArrayBuffer>[]>;
  /** Final latents `(n, C, H, W)` of a completed job. */
  latents(): Promise<Tensor>;
}

/** What was asked for, beside what it comes down to. */
export interface Asked {
  /** The request's body, checked. */
  readonly body: Readonly<Record<string, unknown>>;
  /** After how many steps there are previews. */
  readonly previews: number | "all";
  /** The key that it came with; empty without keys. */
  readonly owner: string;
  /** Whether its owner finds it in the list of jobs. */
  readonly listed: boolean;
  /** Span of the request, as a `traceparent`. */
  readonly span: string;
  /** Where it may be sent again. */
  readonly retry: Retry | undefined;
}

/** Which jobs are listed. */
export interface JobFilter {
  /** Whose. */
  readonly owner: string;
  readonly state: JobState | undefined;
  /** Most of them. */
  readonly limit: number;
  /** Id of the job that the page before ended with. */
  readonly after: string | undefined;
}

/** A job that this server cannot tell of: another version wrote it, or its model is not there any more. */
export interface UnreadableJob {
  readonly id: string;
  readonly state: string;
  /** Why. */
  readonly error: RequestError;
}

/** A job as lists have it. */
export type ListedJob = JobStatus | UnreadableJob;

/** Whether an error says that a job is there and cannot be told of, and not that it is not there. */
export function isUnreadable(error: unknown): error is RequestError {
  return error instanceof RequestError && !ELSEWHERE.has(error.code);
}

/** Codes of what is no fault of a job. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  ...["job_not_found", "queue_unreachable", "queue_out_of_memory", "model_loading", "model_failed"],
]);

/** A page of a list. */
export interface JobPage {
  /** Newest first. */
  readonly jobs: readonly ListedJob[];
  /** Whether there are older ones. */
  readonly hasMore: boolean;
}

/** A picture that a URL leads to. */
export interface KeptImage {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly type: string;
}

/** Where jobs wait. */
export interface JobQueue {
  /**
   * Adds a job; of a request that is sent again, the one that is there.
   *
   * @throws {RequestError} 422 when another request had its key, 429 when too many wait, 503 when nothing can take it.
   */
  add(spec: JobSpec, asked: Asked): Promise<QueuedJob>;
  /** A job by its id, whoever asks; `undefined` when there is none, or it ended too long ago. */
  find(id: string): Promise<QueuedJob | undefined>;
  /** Jobs of an owner, newest first. */
  list(filter: JobFilter): Promise<JobPage>;
  /** Keeps a picture under a name for a while. */
  publish(name: string, image: KeptImage): Promise<void>;
  /** The picture of a name; `undefined` when there is none, or it was published too long ago. */
  published(name: string): Promise<KeptImage | undefined>;
  /** Jobs that wait, of all models, by the digests of the keys that they came with; empty without keys. */
  waiting(): Promise<ReadonlyMap<string, number>>;
}

/** A queue that several processes share. */
export interface SharedQueue extends JobQueue, Rates {
  /** Models of all workers, as the first of them described each. */
  models(): Promise<readonly RendererFacts[]>;
  /** Whether jobs that are added will be drawn: the queue answers, and a worker is there. */
  isReady(): Promise<boolean>;
  /** Begins to draw in this process what waits. */
  work(local: BatchQueue): Promise<void>;
  /** Draws no more: ends what was begun, or gives it back when the signal is aborted. */
  close(signal?: AbortSignal): Promise<void>;
}

/** Bounds of a queue. */
export interface QueueBounds {
  /** Jobs that may wait. */
  readonly queue: number;
  /** Pictures of a batch of several jobs. */
  readonly batch: number;
  /** Seconds from request to pictures. */
  readonly deadlineSeconds: number;
  /** Seconds after which a job that was to be watched, and that nobody follows, is cancelled. */
  readonly unwatchedSeconds: number;
}

/** What went wrong with a worker: it lost a job's lease, or it begins a job again that another worker lost. */
export type Loss = "lease" | "retry";

/** What a shared queue needs of the server that uses it. */
export interface ServerParts {
  /** Models and plans as they are known at the moment. */
  readonly catalog: () => Catalog;
  readonly defaults: SpecDefaults;
  readonly limits: QueueBounds;
  readonly onLoss: (loss: Loss) => void;
}

/** A shared queue that was opened, for `createApp()`. */
export interface OpenQueue {
  /** Where it is, without user and password. */
  readonly address: string;
}

/** Makes a server's part of a shared queue. */
type JoinQueue = (parts: ServerParts) => SharedQueue;

const JOINS = new WeakMap<OpenQueue, JoinQueue>();

/** Makes a queue that servers can join; how, is between this module and the queue. */
export function makeOpenQueue(address: string, join: JoinQueue): OpenQueue {
  const queue = { address };
  JOINS.set(queue, join);
  return queue;
}

/**
 * A server's part of a queue.
 *
 * @throws {TypeError} When it is none that `openBullQueue()` or `openPostgresQueue()` opened.
 */
export function joinQueue(queue: OpenQueue, parts: ServerParts): SharedQueue {
  const join = JOINS.get(queue);
  if (join !== undefined) return join(parts);
  throw new TypeError(
    "Cannot make a server: queue must be one that openBullQueue() or openPostgresQueue() opened",
  );
}
