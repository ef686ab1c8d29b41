/**
 * A server with a toy in a process of its own, which tests may kill. It draws a step in the milliseconds that the
 * second argument says, and prints a line when it begins a batch. Its clock is as many milliseconds ahead as the third
 * says.
 */
import type { Batch, Rendered, RenderOptions } from "../../../src/worker/renderer.ts";
import { ToyRenderer } from "../toy_renderer.ts";
import { sharedApp } from "./shared_server.ts";

const [url, pause, ahead] = Deno.args;
const now = Date.now;
Date.now = () => now() + Number(ahead);

class SlowToy extends ToyRenderer {
  override async render(batch: Batch, options: RenderOptions = {}): Promise<Rendered> {
    console.log(`draws ${batch.pictures.map(({ seed }) => seed)}`);
    this.hold();
    const timer = setInterval(() => this.letGo(), Number(pause));
    try {
      return await super.render(batch, options);
    } finally {
      clearInterval(timer);
    }
  }
}

const app = await sharedApp(url!, [new SlowToy()]);
console.log("ready");
Deno.addSignalListener(
  "SIGTERM",
  () => void app.drain(AbortSignal.timeout(200)).then(() => Deno.exit()),
);
