/** The page's side of a job, against the real app over toys. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Api, ApiError } from "../../src/page/api.ts";
import type { Pixels } from "../../src/page/pixels.ts";
import type { RunEvent, RunRequest } from "../../src/page/run.ts";
import type { ServerContext } from "../../src/page/server_run.ts";
import { serverRunner } from "../../src/page/server_run.ts";
import { streamRunner } from "../../src/page/stream_run.ts";
import { golden } from "../image/golden_pictures.ts";
import { talkative, toyApp, ToyRenderer, until } from "../server/toy_renderer.ts";

const REQUEST: RunRequest = { model: "toy", label: 3, seed: 5, steps: 4, guidance: 2 };
const PICTURE: Pixels = { width: 1, height: 1, data: new Uint8ClampedArray(4) };

Deno.test("a run on the server tells its way and brings the picture that its seed gives", async () => {
  const renderer = new ToyRenderer();
  const { run } = await runner(renderer);
  const events: RunEvent[] = [];
  const signal = new AbortController().signal;
  const result = await run(REQUEST, { onEvent: (event) => events.push(event), signal });
  const kinds = events.map(({ kind }) => kind).filter((kind) => kind !== "queued");
  assertEquals(kinds.filter((kind) => kind !== "preview"), [
    "started",
    "step",
    "step",
    "step",
    "step",
  ]);
  assert(kinds.includes("preview"));
  assertEquals(result.backend, "a toy");
  assertEquals((await result.png.bytes()).slice(1, 4), new TextEncoder().encode("PNG"));
  const [batch] = renderer.batches;
  assertEquals(batch?.pictures, [{ label: 3, seed: 5, guidance: 2 }]);
  assertEquals([batch?.steps, batch?.plan], [4, undefined]);
});

Deno.test("a run on the server tells how far its prompt is read, before its steps", async () => {
  const { run } = await runner(talkative());
  const { label: _, ...asked } = REQUEST;
  const events: RunEvent[] = [];
  const { signal } = new AbortController();
  const onEvent = (event: RunEvent): void => void events.push(event);
  await run({ ...asked, prompt: "a hat" }, { onEvent, signal });
  const told = events.filter(({ kind }) => kind !== "queued" && kind !== "preview").slice(0, 3);
  assertEquals(told.map(({ kind }) => kind), ["started", "loading", "step"]);
  assertEquals(told[1], { kind: "loading", what: "prompts", done: 1, total: 1 });
});

Deno.test("a run that begins from a picture sends it with its strength, in a form", async () => {
  const renderer = new ToyRenderer();
  const server = await contextOf(renderer, {});
  const image = new Blob([await golden("plain.jpg") as Uint8Array<ArrayBuffer>]);
  const request = { ...REQUEST, edit: { image, strength: 0.5 } };
  const { signal } = new AbortController();
  const result = await streamRunner(server)(request, { onEvent: () => {}, signal });
  assertEquals((await result.png.bytes()).slice(1, 4), new TextEncoder().encode("PNG"));
  const [batch] = renderer.batches;
  assertEquals(batch?.pictures, [{ label: 3, seed: 5, guidance: 2 }]);
  assertEquals([batch?.edit?.strength, batch?.edit?.image?.width], [0.5, 6]);
});

Deno.test("a run with a mask sends what is painted as transparency, and the model gets it white", async () => {
  const renderer = new ToyRenderer();
  const server = await contextOf(renderer, {});
  const image = new Blob([await golden("plain.jpg") as Uint8Array<ArrayBuffer>]); // 48 × 36
  const pixels = Uint8Array.from({ length: 48 * 36 }, (_, i) => i % 48 < 24 ? 255 : 0);
  const mask = { width: 48, height: 36, channels: 1, pixels } as const;
  const request = { ...REQUEST, edit: { image, mask, strength: 0.5 } };
  const { signal } = new AbortController();
  await streamRunner(server)(request, { onEvent: () => {}, signal });
  const given = renderer.batches[0]!.edit!.mask!;
  assertEquals([given.width, given.height, given.channels], [6, 4, 1]);
  assertEquals([...given.pixels.subarray(0, 6)].map((level) => level >= 128), [
    ...[true, true, true, false, false, false],
  ]);
});

Deno.test("a run that is stopped cancels its job", async () => {
  const renderer = new ToyRenderer();
  renderer.hold();
  const { run } = await runner(renderer);
  const stop = new AbortController();
  const reason = new Error("enough");
  const running = run(REQUEST, { onEvent: () => {}, signal: stop.signal });
  await until(() => renderer.drawing === 1);
  stop.abort(reason);
  assertEquals(await assertRejects(() => running), reason);
  await until(() => renderer.stopped === 1);
});

Deno.test("a run that fails says why", async () => {
  const renderer = new ToyRenderer();
  renderer.failure = new RangeError("Cannot draw: it must not be");
  const { run } = await runner(renderer);
  const signal = new AbortController().signal;
  await assertRejects(() => run(REQUEST, { onEvent: () => {}, signal }), ApiError, "Cannot draw");
  await assertRejects(
    () => run({ ...REQUEST, label: 9 }, { onEvent: () => {}, signal }),
    ApiError,
    "label must be",
  );
});

Deno.test("a server without jobs draws in one streamed answer, with three previews", async () => {
  const renderer = new ToyRenderer();
  const run = streamRunner(await contextOf(renderer, { jobs: false }));
  const kinds: string[] = [];
  const signal = new AbortController().signal;
  const { png } = await run(REQUEST, { onEvent: ({ kind }) => kinds.push(kind), signal });
  assertEquals(kinds, ["drawing", "preview", "preview", "preview"]);
  assertEquals((await png.bytes()).slice(1, 4), new TextEncoder().encode("PNG"));
  assertEquals(renderer.batches[0]?.pictures, [{ label: 3, seed: 5, guidance: 2 }]);
  renderer.failure = new RangeError("Cannot draw: it must not be");
  await assertRejects(() => run(REQUEST, { onEvent: () => {}, signal }), ApiError, "Cannot draw");
});

async function runner(
  renderer: ToyRenderer,
): Promise<{ readonly run: ReturnType<typeof serverRunner> }> {
  return { run: serverRunner(await contextOf(renderer, {})) };
}

async function contextOf(
  renderer: ToyRenderer,
  options: { readonly jobs?: boolean },
): Promise<ServerContext> {
  const app = await toyApp([renderer], options);
  const keys = { get: () => undefined, ask: () => Promise.reject(new Error("no key is needed")) };
  const api = new Api(keys, async (to, init) => await app.request(`${to}`, init));
  return { api, backend: "a toy", decode: () => Promise.resolve(PICTURE) };
}
