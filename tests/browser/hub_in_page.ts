/** A file of a hub, in a browser: read through the browser's cache, for `hub_test.ts`. */
import { openHub } from "../../src/assets/hub/hub_source.ts";

/** What the page found. */
export interface PageResult {
  readonly keptIn: string;
  readonly sum: number;
  readonly notices: readonly string[];
}

async function readFrom(endpoint: string): Promise<PageResult> {
  const notices: string[] = [];
  const source = openHub("hf://owner/name", {
    settings: { endpoint: new URL(endpoint), offline: false, token: "hf_secret" },
    onDownload: (event) => void (event.kind === "notice" && notices.push(event.text)),
  });
  const length = await source.size("a.bin") ?? 0;
  const bytes = await source.read("a.bin", { offset: 1000, length: length - 1000 });
  const keptIn = await source.keptIn();
  await source.close();
  return { keptIn, notices, sum: bytes.reduce((sum, byte) => (sum * 31 + byte) % 1_000_003, 7) };
}

Object.assign(globalThis, { readFrom });
