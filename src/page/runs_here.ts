/**
 * What this browser can draw with.
 */

import { BROWSER_MODELS, type ModelView } from "./contract.ts";

/** Whether a model's files are served, so that it runs in this browser. */
export function runsHere(model: ModelView): boolean {
  const meta = document.querySelector<HTMLMetaElement>(`meta[name="${BROWSER_MODELS}"]`);
  return meta?.content.split(" ").includes(model.id) === true;
}

/** What runs in this browser, in words. */
export function browserWords(): string {
  const threads = crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  const gpu = "gpu" in navigator ? "WebGPU or " : "";
  return `${gpu}WebAssembly with ${threads} ${
    threads === 1 ? "thread" : "threads"
  }; about 30 MB once.`;
}
