/**
 * A job as it lies in the store: the request with every default filled in, from which any process makes the
 * same {@link JobSpec}, and how far it is.
 */

import { DEFAULT_STRENGTH, type EditRecord } from "../../engine/edit_facts.ts";
import type { FittedEdit } from "../../engine/request_edit.ts";
import { encodePng } from "../../image/png.ts";
import { decodePng } from "../../image/png_decode.ts";
import type { GenerationBody } from "../api.ts";
import type { Catalog } from "../catalog.ts";
import type { JobState, JobTimes } from "../job.ts";
import type { Asked } from "../job_queue.ts";
import { type JobSpec, resolveSpec, type SpecDefaults } from "../job_spec.ts";
import { digestOf } from "../key_digest.ts";
import { RequestError } from "../request_error.ts";

/** Version of what is stored; a process leaves alone what another version wrote. */
export const TASK_VERSION = 1;

/** What of a request decides what is drawn. */
export interface TaskRequest {
  /** The body of `POST /v1/jobs`, with seed and plan as they were chosen. */
  readonly body: Readonly<Record<string, unknown>>;
  /** After how many steps there are previews. */
  readonly previews: number | "all";
  /** Digest of the plan; empty without one. */
  readonly plan: string;
  /** Identity of the model's weights. */
  readonly fingerprint: string;
  /** Span of the request that it came with, as a `traceparent`. */
  readonly span: string;
  /** Digest of the whole request, where it may be sent again. */
  readonly retry?: string | undefined;
  /** What it begins from, beside its pictures. */
  readonly edit?: { readonly record: EditRecord; readonly notices: readonly string[] } | undefined;
}

/** A task and how far it is. */
export interface Task {
  readonly id: string;
  readonly request: TaskRequest;
  readonly state: JobState;
  readonly times: JobTimes;
  readonly step: number;
  readonly batch: number | undefined;
  /** What is told of the pictures, beside them. */
  readonly result: Readonly<Record<string, unknown>> | undefined;
  /** How often it was begun. */
  readonly attempts: number;
  /** Who drew it: part of the keys of its pictures. */
  readonly owner: string;
  /** Status, code and message of its failure. */
  readonly error: RequestError | undefined;
}

/** Pictures of an edit, as files; PNG loses nothing. */
export interface EditFiles {
  readonly image: Uint8Array<ArrayBuffer>;
  readonly mask?: Uint8Array<ArrayBuffer> | undefined;
}

/** The request of a job, to be stored. */
export function requestOf(
  spec: JobSpec,
  { body, previews, span, retry }: Pick<Asked, "body" | "previews" | "span" | "retry">,
): TaskRequest {
  const { pictures, plan, model, edit } = spec;
  return {
    body: { ...body, seed: pictures[0]!.seed, plan: plan?.name ?? "none" }, // it has one picture at least
    ...{ previews, span },
    ...(retry !== undefined && { retry: retry.digest }),
    plan: plan?.digest ?? "",
    fingerprint: model.facts.fingerprint,
    ...(edit !== undefined && { edit: { record: edit.record, notices: edit.notices } }),
  };
}

/**
 * What a stored request draws, in this process.
 *
 * @throws {RequestError} When model or plan are others here than where it was taken.
 */
export function specOf(
  { body, previews, plan, fingerprint, edit }: TaskRequest,
  { catalog, defaults }: { readonly catalog: Catalog; readonly defaults: SpecDefaults },
): JobSpec {
  // It was checked where it was taken, by this version.
  const spec = resolveSpec(catalog, body as GenerationBody, { previews, defaults });
  expectSame("model", fingerprint, spec.model.facts.fingerprint);
  expectSame("plan", plan, spec.plan?.digest ?? "");
  return { ...spec, notices: [...spec.notices, ...edit?.notices ?? []] };
}

function expectSame(what: string, wanted: string, here: string): void {
  if (wanted === here) return;
  throw new RequestError(
    `Cannot draw the job: ${what} must be ${wanted}, as where it was taken: current value is ${here}`,
    { status: 503, code: `${what}_differs` },
  );
}

/** Equal for jobs that can be drawn in one batch; an edit is alone. */
export function shapeOf(spec: JobSpec, id: string): string {
  if (spec.edit !== undefined) return id;
  const { pictures: [first], steps, sampler, plan, policy, trueGuidance } = spec;
  const negative = first!.prompt?.negativePrompt !== undefined; // there is one at least
  const how = [plan?.digest, policy, steps, sampler, trueGuidance];
  const parts = [...how, first!.guidance !== 1, negative];
  return digestOf(JSON.stringify(parts)).slice(0, 16);
}

/** Files of an edit in the size of its pictures. */
export async function editFiles({ options: { image, mask } }: FittedEdit): Promise<EditFiles> {
  return {
    image: await pngOf(image),
    ...(mask !== undefined && { mask: await pngOf(mask) }),
  };
}

/** The edit of its files. */
export async function readEditFiles(
  { image, mask }: EditFiles,
  { record, notices }: NonNullable<TaskRequest["edit"]>,
): Promise<FittedEdit> {
  const painted = mask && await decodePng(mask);
  return {
    options: {
      image: await decodePng(image),
      strength: record.strength ?? DEFAULT_STRENGTH,
      ...(painted !== undefined && { mask: painted }),
    },
    record,
    notices,
  };
}

async function pngOf(
  picture: FittedEdit["options"]["image"],
): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await encodePng(picture));
}

/** A task of the fields of its hash; `undefined` where there is none. */
export function readTask(
  id: string,
  fields: Readonly<Record<string, string>>,
): Task | undefined {
  const { state, request, version, created, started, finished } = fields;
  if (state === undefined || request === undefined) return undefined;
  if (Number(version) !== TASK_VERSION) {
    throw new RequestError(
      `Cannot read the job: its version must be ${TASK_VERSION}: current value is ${version}`,
      { status: 503, code: "version_differs" },
    );
  }
  const time = (text: string | undefined): number | undefined =>
    text === undefined ? undefined : Number(text);
  return {
    id,
    request: JSON.parse(request) as TaskRequest, // as requestOf() made it
    state: state as JobState, // only our scripts write it
    times: { created: Number(created), started: time(started), finished: time(finished) },
    step: Number(fields["step"] ?? 0),
    batch: time(fields["batch"]),
    result: parsed(fields["result"]),
    attempts: Number(fields["attempts"]),
    owner: fields["owner"] ?? "",
    error: errorOf(parsed(fields["error"])),
  };
}

function parsed(text: string | undefined): Readonly<Record<string, unknown>> | undefined {
  return text === undefined || text === "" ? undefined : JSON.parse(text);
}

/** A failure, to be stored. */
export function packFailure({ message, status, code, param }: RequestError): string {
  return JSON.stringify({ message, status, code, param });
}

function errorOf(
  packed: Readonly<Record<string, unknown>> | undefined,
): RequestError | undefined {
  if (packed === undefined) return undefined;
  const { message, ...rest } = packed;
  return new RequestError(`${message}`, rest as { status: number; code: string }); // as packFailure() wrote it
}

/** Where a picture of a task is kept; another owner's never takes its place. */
export function pictureKey(id: string, owner: string, index: number): string {
  return `task:${id}:picture:${owner}:${index}`;
}

/** Where the latents of a task are kept: float32, little-endian. */
export function latentsKey(id: string, owner: string): string {
  return `task:${id}:latents:${owner}`;
}
