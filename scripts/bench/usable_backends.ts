/** The providers that this machine has. */
import { findAdapter } from "../../src/backend/adapter.ts";
import type { BackendName } from "../../src/backend/backend.ts";
import { findNative } from "../../src/backend/native.ts";
import { BACKENDS } from "../../src/backend/select.ts";

/** Their names. */
export async function usableBackends(): Promise<BackendName[]> {
  const has = {
    wasm: true,
    native: await findNative() !== undefined,
    webgpu: await findAdapter() !== undefined,
  };
  return BACKENDS.filter((name) => has[name]);
}
