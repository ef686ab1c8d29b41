/** What the HTTP suite is made of. */
import type { Client } from "./client.ts";

/** What a check needs of the place that serves; `watches`: it notices any client that leaves. */
export type HttpTag = "core" | "jobs" | "no jobs" | "watches";

/** One thing that must hold for every server that has what its tag names. */
export interface HttpCheck {
  /** A sentence about any such server. */
  readonly name: string;
  /** See {@link HttpTag}. */
  readonly tag: HttpTag;
  /** Fails by throwing. */
  check(client: Client): Promise<void>;
}
