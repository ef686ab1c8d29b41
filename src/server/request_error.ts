/**
 * Errors as clients see them: one table from error class to status, one envelope.
 */

import { AssetError, BackendError, PlanError } from "../errors.ts";

/** A request that is refused, and how. */
export class RequestError extends Error {
  override readonly name = "RequestError";
  readonly status: number;
  /** A word that programs can compare. */
  readonly code: string;
  readonly param: string | undefined;
  /** Headers that go with it. */
  readonly headers: Readonly<Record<string, string>>;

  /** Makes it; the message follows the grammar of `errors.ts`. */
  constructor(message: string, options: {
    readonly status?: number;
    readonly code?: string;
    readonly param?: string | undefined;
    readonly headers?: Readonly<Record<string, string>>;
    readonly cause?: unknown;
  } = {}) {
    const { status = 400, code = "invalid_request", param, headers = {}, cause } = options;
    super(message, { cause });
    this.status = status;
    this.code = code;
    this.param = param;
    this.headers = headers;
  }
}

/** Refuses a field of a request for pictures. @throws {RequestError} 400, naming it. */
export function refuse(param: string, wanted: string, given: unknown): never {
  throw new RequestError(
    `Cannot generate: ${param} must be ${wanted}: current value is ${given}`,
    { code: "invalid_value", param },
  );
}

/** An error, ready to be sent. */
export interface Refusal {
  readonly status: number;
  /** As clients of OpenAI's API know it: `param` is the field at fault, `code` a word for programs. */
  readonly body: {
    readonly error: {
      readonly message: string;
      readonly type: string;
      readonly param: string | null;
      readonly code: string;
    };
  };
  /** Headers that go with it. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Errors of the library that a client can cause; the first class that fits. All others are ours: 500. */
const TABLE: readonly {
  readonly type: new (...args: never[]) => Error;
  readonly status: number;
  readonly code: string;
  readonly tell: boolean;
}[] = [
  { type: PlanError, status: 400, code: "plan_does_not_fit", tell: true },
  { type: RangeError, status: 400, code: "out_of_range", tell: true },
  { type: BackendError, status: 503, code: "backend_failed", tell: true },
  { type: AssetError, status: 500, code: "asset_failed", tell: false }, // names files of this machine
];

/** What to answer to an error. */
export function refusalOf(error: unknown): Refusal {
  const known = error instanceof RequestError ? error : translated(error);
  const { status, code, message, param = null, headers } = known;
  return { status, headers, body: { error: { message, type: familyOf(status), param, code } } };
}

function translated(error: unknown): RequestError {
  const row = TABLE.find(({ type }) => error instanceof type);
  const told = row?.tell === true && error instanceof Error;
  const message = told ? error.message : "The server failed; see its log";
  return new RequestError(message, row ?? { status: 500, code: "internal_error" });
}

/** *Source:* the `type` of OpenAI's error objects. */
function familyOf(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 429) return "rate_limit_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}
