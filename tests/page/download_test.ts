import { assert, assertEquals, assertRejects } from "@std/assert";
import { downloadAll, type DownloadAllOptions, type FileStore } from "../../src/page/download.ts";

const FILES: Readonly<Record<string, Uint8Array<ArrayBuffer>>> = {
  a: new Uint8Array(3000).fill(1),
  b: new Uint8Array(1000).fill(2),
};

/** A network that counts, and says the size in a header of its own. */
function network(): { readonly asked: string[]; readonly send: typeof fetch } {
  const asked: string[] = [];
  return {
    asked,
    send: (to) => {
      const url = `${to}`;
      asked.push(url);
      const bytes = FILES[url];
      if (bytes === undefined) return Promise.resolve(new Response("no", { status: 404 }));
      return Promise.resolve(
        new Response(bytes, { headers: { "x-file-size": `${bytes.length}` } }),
      );
    },
  };
}

function memory(room = Infinity): FileStore {
  const kept = new Map<string, Response>();
  return {
    match: (url) => Promise.resolve(kept.get(url)?.clone()),
    put: (url, response) => {
      if (Number(response.headers.get("x-file-size")) > room) {
        return Promise.reject(new DOMException("full", "QuotaExceededError"));
      }
      kept.set(url, response);
      return Promise.resolve();
    },
  };
}

function options(given: Partial<DownloadAllOptions>): DownloadAllOptions {
  const signal = new AbortController().signal;
  return { store: undefined, onProgress: () => {}, signal, ...given };
}

Deno.test("downloadAll() tells bytes of all files together and keeps them for the next time", async () => {
  const { asked, send } = network();
  const store = memory();
  const seen: [number, number][] = [];
  const onProgress = (done: number, total: number): void => void seen.push([done, total]);
  const first = await downloadAll(["a", "b"], options({ send, store, onProgress }));
  assertEquals(first, { files: [FILES["a"]!, FILES["b"]!], kept: true });
  assert(seen.every(([done, total], i) => total === 4000 && done > (seen[i - 1]?.[0] ?? 0)));
  assertEquals(seen.at(-1), [4000, 4000]);
  assertEquals(await downloadAll(["a", "b"], options({ send, store })), first);
  assertEquals(asked, ["a", "b"]);
});

Deno.test("downloadAll() stays in memory where there is no room, or no store", async () => {
  const { asked, send } = network();
  const store = memory(2000);
  for (let time = 0; time < 2; time++) {
    const { files, kept } = await downloadAll(["a", "b"], options({ send, store }));
    assertEquals([files, kept], [[FILES["a"], FILES["b"]], false]);
  }
  assertEquals(asked, ["a", "b", "a"]);
  assertEquals((await downloadAll(["a"], options({ send }))).kept, false);
});

Deno.test("downloadAll() says what cannot be had, and stops when told to", async () => {
  const { send } = network();
  await assertRejects(
    () => downloadAll(["c"], options({ send })),
    TypeError,
    "Cannot load c: status must be 200",
  );
  const stop = new AbortController();
  const reason = new Error("enough");
  const onProgress = (): void => stop.abort(reason);
  const slow: typeof fetch = () => {
    const body = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(10)),
    });
    return Promise.resolve(new Response(body));
  };
  const error = await assertRejects(() =>
    downloadAll(["a"], options({ send: slow, onProgress, signal: stop.signal }))
  );
  assertEquals(error, reason);
});
