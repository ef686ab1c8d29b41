/**
 * Progress of downloads on a terminal: one redrawn line per file on a TTY, a few plain lines elsewhere.
 */

import type { DownloadEvent, DownloadProgress } from "../assets/hub/download_meter.ts";
import { type Output, progressOutput } from "./output.ts";
import { formatDuration, type ProgressOptions } from "./progress.ts";

/** Shows downloads; ended once, after which it is silent. */
export interface Downloads {
  /** Something was heard. */
  readonly hear: (event: DownloadEvent) => void;
  /** Nothing more comes: ends a line that was begun. */
  readonly end: () => void;
}

/** Files below this size come and go unseen: 1 MB. */
const SEEN_BYTES = 1e6;
const REDRAW_MS = 100;

/** Does work that may download, and shows on stderr how that goes. */
export async function withDownloads<T>(
  work: (onDownload: Downloads["hear"]) => Promise<T>,
  output?: Pick<Output, "quiet">,
): Promise<T> {
  const downloads = startDownloads(progressOutput(output));
  try {
    return await work(downloads.hear);
  } finally {
    downloads.end();
  }
}

/** Begins to show downloads. */
export function startDownloads(options: ProgressOptions): Downloads {
  const { write, isTty, now = () => performance.now() } = options;
  let current: { path: string; tenth: number; at: number } | undefined;
  let ended = false;

  const endLine = (): void => {
    if (isTty && current !== undefined) write("\n");
    current = undefined;
  };
  const show = (event: DownloadProgress): void => {
    if (event.total < SEEN_BYTES) return;
    const whole = event.done === event.total;
    if (whole && current?.path !== event.path) return; // it was there
    if (current?.path !== event.path) endLine();
    const first = current === undefined;
    current ??= { path: event.path, tenth: 0, at: now() };
    const tenth = Math.floor(10 * event.done / event.total);
    if (isTty) {
      if (!first && !whole && now() - current.at < REDRAW_MS) return;
      write(`\r${formatProgress(event)}\x1b[K`);
    } else if (first || tenth > current.tenth) write(`${formatProgress(event)}\n`);
    [current.tenth, current.at] = [tenth, now()];
    if (whole) endLine();
  };
  return {
    hear: (event) => {
      if (ended) return;
      if (event.kind === "progress") return show(event);
      endLine();
      write(`note: ${event.text}\n`);
    },
    end: () => {
      if (!ended) endLine();
      ended = true;
    },
  };
}

/** `1.20 GB`: of 10^9 bytes. */
export function formatBytes(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e3).toFixed(1)} kB`;
}

/** `…model.safetensors  1.20 GB/23.80 GB  85.0 MB/s  ETA 4 min 26 s`, below 80 columns. */
function formatProgress({ path, done, total, rate, seconds }: DownloadProgress): string {
  const name = path.length > 24 ? `…${path.slice(-23)}` : path;
  const speed = rate > 0 ? `  ${formatBytes(rate)}/s` : "";
  const rest = seconds !== undefined && done < total ? `  ETA ${formatDuration(seconds)}` : "";
  return `${name}  ${formatBytes(done)}/${formatBytes(total)}${speed}${rest}`;
}
