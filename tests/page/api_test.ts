import { assertEquals, assertRejects } from "@std/assert";
import { Api, ApiError, type KeyRing } from "../../src/page/api.ts";

/** An API over answers given one after another, and what it was asked. */
function over(
  answers: readonly (() => Response)[],
  keys: KeyRing = { get: () => undefined, ask: () => Promise.resolve() },
): { readonly api: Api; readonly asked: Request[] } {
  const asked: Request[] = [];
  const api = new Api(keys, (to, init) => {
    asked.push(new Request(new URL(`${to}`, "http://server/"), init));
    const answer = answers[asked.length - 1];
    if (answer === undefined) return Promise.reject(new TypeError("network"));
    return Promise.resolve(answer());
  });
  return { api, asked };
}

function refusal(status: number, headers: Record<string, string> = {}): () => Response {
  return () => Response.json({ error: { message: "It must not be" } }, { status, headers });
}

Deno.test("a refused key is asked for until one fits, and goes along as bearer", async () => {
  const given = ["wrong", "right"];
  const asks: boolean[] = [];
  let key: string | undefined;
  const keys: KeyRing = {
    get: () => key,
    ask: (wrong) => {
      asks.push(wrong);
      key = given.shift();
      return Promise.resolve();
    },
  };
  const { api, asked } = over([refusal(401), refusal(401), () => Response.json({ a: 1 })], keys);
  assertEquals(await api.json("/v1/models"), { a: 1 });
  assertEquals(asks, [false, true]);
  assertEquals(asked.map(({ headers }) => headers.get("authorization")), [
    null,
    "Bearer wrong",
    "Bearer right",
  ]);
});

Deno.test("errors are told in words: the server's, a full queue, no answer", async () => {
  const message = async (answers: readonly (() => Response)[]): Promise<ApiError> =>
    await assertRejects(() => over(answers).api.json("/v1/jobs"), ApiError);
  assertEquals((await message([refusal(400)])).message, "It must not be");
  const busy = await message([refusal(429, { "retry-after": "7" })]);
  assertEquals([busy.message, busy.retryAfter], ["The server is busy.", 7]);
  assertEquals(
    (await message([() => new Response("<html>", { status: 502 })])).message,
    "The server answered with status 502.",
  );
  assertEquals((await message([])).message, "The server does not answer. Is it still running?");
});

Deno.test("events go on behind the last one that came when the connection breaks", async () => {
  const broken = (): Response => {
    let sent = false;
    return new Response(
      new ReadableStream({
        pull(controller): void {
          if (sent) return controller.error(new TypeError("network"));
          sent = true;
          controller.enqueue(new TextEncoder().encode("id: 4\nevent: step\ndata: 1\n\n"));
        },
      }),
    );
  };
  const { api, asked } = over([broken, () => new Response("id: 5\nevent: completed\ndata: 2\n\n")]);
  const seen: unknown[] = [];
  for await (const { event, data } of api.events("/e", (event) => event === "completed")) {
    seen.push([event, data]);
  }
  assertEquals(seen, [["step", 1], ["completed", 2]]);
  assertEquals(asked.map(({ headers }) => headers.get("last-event-id")), [null, "4"]);
});
