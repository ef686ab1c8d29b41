/** Checks that every runtime passes: pictures at once and as a stream, what there is, health. */
import { assert, assertEquals, assertGreaterOrEqual, assertMatch } from "@std/assert";
import { bundledPlans, loadPlan } from "../../src/engine/bundled_plans.ts";
import { toPictures } from "../../src/image/picture.ts";
import { openEngine } from "../../src/engine/engine.ts";
import { formatPlan } from "../../src/plan/format.ts";
import { type Client, json, pixelsOf } from "./client.ts";
import type { HttpCheck } from "./http_check.ts";
import { FASHION_DIT } from "../fashion_dit.ts";

const REQUEST = { prompt: "sneaker", seed: 7, steps: 10, plan: "none" };

/** All of them. */
export const CORE_CHECKS: readonly HttpCheck[] = [
  {
    tag: "core",
    name: "it is alive at once and ready when its model is there",
    check: async (client) => {
      assertEquals((await client.get("/healthz")).json, { status: "ok" });
      assertEquals((await client.get("/readyz")).json, { status: "ready" });
    },
  },
  {
    tag: "core",
    name: "it shows the page with its script and style",
    check: async (client) => {
      const page = await client.get("/");
      assertMatch(page.headers.get("content-type") ?? "", /^text\/html/);
      for (const name of ["main.js", "style.css"]) {
        assertEquals((await client.get(`/page/${name}`)).status, 200, name);
      }
      assertEquals((await client.get("/page/../deno.json")).status, 404);
    },
  },
  {
    tag: "core",
    name: "it lists its model, and answers 404 for another",
    check: async (client) => {
      const { data: [model] } = (await client.get("/v1/models")).json;
      assertEquals([model.id, model.latent, model.classes.length], [
        "fashion-dit",
        [1, 32, 32],
        10,
      ]);
      assertEquals((await client.get("/v1/models/fashion-dit")).json, model);
      const { status, json: { error } } = await client.get("/v1/models/none");
      assertEquals([status, error.type], [404, "invalid_request_error"]);
    },
  },
  {
    tag: "core",
    name: "it gives out the bundled plans to the letter, and as heat-maps",
    check: async (client) => {
      const { data } = (await client.get("/v1/plans")).json;
      assertEquals(data.map(({ id }: { readonly id: string }) => id), bundledPlans);
      for (const name of bundledPlans) {
        assertEquals((await client.get(`/v1/plans/${name}`)).text, formatPlan(loadPlan(name)));
      }
      const svg = await client.get(`/v1/plans/${bundledPlans[0]}.svg`);
      assertEquals(svg.headers.get("content-type"), "image/svg+xml");
      assertMatch(svg.text, /^<svg /);
    },
  },
  {
    tag: "core",
    name: "it says what it can do, and every route that it names is there",
    check: async (client) => {
      const { routes, models, output_formats } = (await client.get("/v1/capabilities")).json;
      assertEquals([models, output_formats[0]], [["fashion-dit"], "png"]);
      for (const route of routes) {
        const [method, path] = route.split(" ");
        if (method !== "GET" || path.includes("{") || path.includes(":")) continue;
        assertEquals((await client.get(path)).status, 200, route);
      }
    },
  },
  {
    tag: "core",
    name: "it draws what the library draws for a seed, to a grey level",
    check: async (client) => {
      const [first, again, other] = [
        (await client.generate(REQUEST)).json,
        (await client.generate(REQUEST)).json,
        (await client.generate({ ...REQUEST, seed: 8 })).json,
      ];
      assertEquals([first.seed, first.steps, first.plan, first.model], [
        7,
        10,
        null,
        "fashion-dit",
      ]);
      assertClose(pixelsOf(first.data[0].b64_json), await libraryPixels());
      assertEquals(again.data, first.data);
      assert(other.data[0].b64_json !== first.data[0].b64_json);
    },
  },
  {
    tag: "core",
    name: "it follows a plan, and the one that fits where none is named",
    check: async (client) => {
      const { plan } = (await client.generate({ label: "Bag", seed: 1 })).json;
      assertEquals(plan.id, "fashion-dit.4x");
      assertGreaterOrEqual(plan.predicted_speedup, 2.5);
      const named = await client.generate({ label: 8, plan: "fashion-dit.5x" });
      assertEquals(named.json.steps, 10);
    },
  },
  {
    tag: "core",
    name:
      "it lets a policy decide at each step, whose picture is the one in full where nothing is reused",
    check: async (client) => {
      const { policies } = (await client.get("/v1/capabilities")).json;
      assertEquals(policies, ["first-block", "teacache", "sencache"]);
      const decided = async (policy: string) =>
        (await client.generate({ ...REQUEST, policy })).json;
      const off = await decided("first-block:threshold=0");
      assertEquals([off.plan, off.policy.reused], [null, [0]]);
      assertClose(pixelsOf(off.data[0].b64_json), await libraryPixels());
      assertEquals((await decided("teacache:threshold=1e9")).policy.reused, [8]);
    },
  },
  {
    tag: "core",
    name: "it streams previews, then the picture that it would have answered at once",
    check: async (client) => {
      const body = { ...REQUEST, stream: true, partial_images: 2 };
      const events = await Array.fromAsync(client.events("/v1/images/generations", json(body)));
      assertEquals(events.map(({ event }) => event.replace("image_generation.", "")), [
        "partial_image",
        "partial_image",
        "completed",
      ]);
      const whole = (await client.generate(REQUEST)).json.data[0].b64_json;
      assertEquals(events.at(-1)?.data.b64_json, whole);
      assertEquals(events.slice(0, 2).map(({ data }) => data.partial_image_index), [0, 1]);
    },
  },
  {
    tag: "core",
    name: "it refuses what it cannot do by name, in one envelope",
    check: async (client) => {
      const cases = [
        [{ ...REQUEST, n: 0 }, 400, "n"],
        [{ ...REQUEST, colour: "red" }, 400, "colour"],
        [{ ...REQUEST, plan: "none-such" }, 404, "plan"],
        [{ ...REQUEST, plan: "fashion-dit.3x", policy: "teacache" }, 400, "plan"],
        [{ prompt: "a castle" }, 400, "prompt"],
        [{ ...REQUEST, size: "large" }, 400, "size"],
      ] as const;
      for (const [body, status, param] of cases) {
        const answer = await client.post("/v1/images/generations", body);
        assertEquals([answer.status, answer.json.error.param], [status, param], answer.text);
        assert(answer.headers.get("x-request-id") !== null);
      }
      const broken = { ...json(0), body: "{" };
      assertEquals((await client.get("/v1/images/generations", broken)).status, 400);
      assertEquals((await client.get("/none")).json.error.code, "not_found");
    },
  },
  {
    tag: "core",
    name: "it stops drawing a stream that its client leaves",
    check: async (client) => {
      const short = { ...REQUEST, steps: 3 };
      const begun = performance.now();
      await client.generate(short);
      const usual = performance.now() - begun;
      await leaveEarly(client, { ...REQUEST, n: 2, steps: 100, stream: true, partial_images: 3 });
      const left = performance.now();
      await client.generate(short);
      const after = performance.now() - left;
      // workerd sees at the next write, a preview behind step 25, that the client has left. All 100 steps of
      // two pictures take 36 times as long (measured).
      assert(after < 20 * usual + 1000, `${after} ms after a client left, else ${usual} ms`);
    },
  },
  {
    tag: "watches",
    name: "it stops drawing for a client that leaves, however its request came",
    check: async (client) => {
      const short = { ...REQUEST, steps: 3 };
      const begun = performance.now();
      await client.generate(short);
      const usual = performance.now() - begun;
      for (const at of ["whole", "after the head", "in the body", "540 bytes"]) {
        await leavePlain(client, { ...REQUEST, n: 2, steps: 200 }, at);
        const left = performance.now();
        await client.generate(short);
        const after = performance.now() - left;
        assert(after < 20 * usual + 1000, `${at}: ${after} ms after, else ${usual} ms`);
      }
    },
  },
  {
    tag: "core",
    name: "it answers for its health while it draws",
    check: async (client) => {
      const drawing = client.generate({ ...REQUEST, steps: 50 });
      assertEquals((await client.get("/healthz")).status, 200);
      await drawing;
    },
  },
];

/** Begins a stream, then goes. */
async function leaveEarly(client: Client, body: unknown): Promise<void> {
  const stop = new AbortController();
  const init = { ...json(body), signal: stop.signal };
  const response = await fetch(new URL("/v1/images/generations", client.base), init);
  assertEquals(response.status, 200);
  stop.abort();
  await response.body?.cancel().catch(() => {}); // it was aborted
}

/** Asks for a plain answer in one or two packets, and goes while it is drawn. */
async function leavePlain(client: Client, body: unknown, split: string): Promise<void> {
  const { hostname, port } = client.base;
  const text = JSON.stringify(body);
  const bare = "POST /v1/images/generations HTTP/1.1\r\nhost: localhost\r\n" +
    `content-type: application/json\r\ncontent-length: ${text.length}\r\nx-fill: \r\n\r\n`;
  const fill = split === "540 bytes" ? 540 - bare.length - text.length : 1;
  const head = bare.replace("x-fill: ", `x-fill: ${"a".repeat(fill)}`);
  const at = { "after the head": head.length, "in the body": head.length + 9 }[split] ?? 1e9;
  const connection = await Deno.connect({ hostname, port: Number(port) });
  for (const part of [(head + text).slice(0, at), (head + text).slice(at)]) {
    await connection.write(new TextEncoder().encode(part));
    await new Promise((resolve) => setTimeout(resolve, 100)); // a packet of its own; then it is drawn
  }
  connection.close();
}

let pixels: Promise<readonly number[]> | undefined;

/** The picture of `REQUEST`, drawn here on one wasm thread. */
function libraryPixels(): Promise<readonly number[]> {
  pixels ??= (async () => {
    const pipeline = await openEngine({ model: FASHION_DIT, backend: "wasm", threads: 1 });
    const { latents } = await pipeline.generate({ labels: [7], seed: 7, steps: 10 });
    await pipeline.close();
    return [...toPictures(latents)[0]!.pixels]; // one label was asked for
  })();
  return pixels;
}

/** Providers differ by 2e-5 of the range (README, parity): a level at most, where a value is at its edge. */
function assertClose(actual: readonly number[], wanted: readonly number[]): void {
  assertEquals(actual.length, wanted.length);
  const largest = Math.max(...actual.map((level, i) => Math.abs(level - wanted[i]!)));
  assert(largest <= 1, `pixels differ by up to ${largest} levels`);
}
