/** What a conformance suite is made of; no test runner is known here, so that Bun and Node can run it too. */
import { assertEquals } from "@std/assert";
import type { Backend } from "../../src/backend/backend.ts";

/** One thing that must hold for every backend. */
export interface BackendCheck {
  /** A sentence about any backend. */
  readonly name: string;
  /** Whether a broken backend would block its thread for ever: then it runs in a process of its own. */
  readonly blocks?: true;
  /** Fails by throwing. It leaves nothing alive on the backend. */
  check(backend: Backend, open: () => Promise<Backend>): Promise<void>;
}

/** Runs a check on a backend of its own and proves that nothing is left alive. */
export async function runCheck(
  { check }: BackendCheck,
  open: () => Promise<Backend>,
): Promise<void> {
  const backend = await open();
  try {
    await check(backend, open);
    assertEquals(backend.live, { values: 0, sessions: 0 });
  } finally {
    await backend.dispose();
  }
}
