/** A server with a toy in a process of its own, as tests see it. */
import { assert } from "@std/assert";
import { Lines } from "../../../scripts/bench/served.ts";

/** A server in a process of its own. */
export class DrawingProcess {
  readonly #child: Deno.ChildProcess;
  readonly #lines: Lines;

  /** Its clock is ahead of others' by `ahead` milliseconds. */
  constructor(url: string, pause: number, ahead = 0) {
    const script = new URL("drawing_process.ts", import.meta.url).pathname;
    const args = ["run", "-A", "--quiet", "--no-check", script, url, `${pause}`, `${ahead}`];
    this.#child = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
    this.#lines = new Lines(this.#child.stdout);
  }

  /** Waits for a line. */
  async tells(words: RegExp): Promise<void> {
    assert(await this.#lines.find(words) !== undefined, this.#lines.text);
  }

  async stop(signal: Deno.Signal): Promise<void> {
    this.#child.kill(signal);
    await Promise.all([this.#child.status, this.#lines.rest()]);
  }
}
