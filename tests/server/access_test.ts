import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { AssetError } from "../../src/errors.ts";
import { digestOf } from "../../src/server/key_digest.ts";
import { parseKeys } from "../../src/server/key_list.ts";
import { post, toyApp, ToyRenderer } from "./toy_renderer.ts";

const KEY = "a-key-of-sixteen-letters";
const DIGEST = `sha256:${digestOf(KEY)}`;

Deno.test("a key is one of the list, or one whose digest is there; a digest itself is no key", async () => {
  for (const known of [KEY, DIGEST]) {
    const app = await toyApp([new ToyRenderer()], { apiKeys: ["another-key-of-letters", known] });
    for (
      const [given, status] of [
        [KEY, 200],
        [DIGEST, 401],
        [digestOf(KEY), 401],
        [KEY.slice(1), 401],
        [KEY.toUpperCase(), 401],
        [`${KEY}=`, 401],
        ["", 401],
      ] as const
    ) {
      const headers = { authorization: `Bearer ${given}` };
      const response = await app.request("/v1/models", { headers });
      await response.body?.cancel();
      assertEquals(response.status, status, given);
    }
  }
});

Deno.test("a list of keys takes digests of 64 small digits, and nothing else after sha256:", () => {
  assertEquals(parseKeys(`${KEY},${DIGEST}`, "KEYS"), [KEY, DIGEST]);
  for (
    const bad of [DIGEST.slice(0, -1), `${DIGEST}0`, DIGEST.toUpperCase(), "sha256:", `md5:${KEY}`]
  ) {
    const error = assertThrows(() => parseKeys(bad, "KEYS"), AssetError);
    assertMatch(error.message, /^Cannot read keys: KEYS must hold keys .*\(one is neither\)$/);
  }
});

Deno.test("metrics say how many jobs of each key wait, by digits that tell no key", async () => {
  const toy = new ToyRenderer();
  const other = "another-key-of-letters";
  const app = await toyApp([toy], { apiKeys: [KEY, other], limits: { batch: 1 } });
  const headers = { authorization: `Bearer ${KEY}` };
  toy.hold();
  for (const key of [KEY, KEY, KEY, other]) {
    const answer = await post(app, "/v1/jobs", { label: 0 }, {
      headers: { authorization: `Bearer ${key}` },
    });
    await answer.body?.cancel();
  }
  const text = await (await app.request("/metrics", { headers })).text();
  const digits = (key: string): string => digestOf(key).slice(0, 8);
  for (
    const line of [
      "invardiff_queue_depth 3",
      `invardiff_key_queue_depth{key="${digits(KEY)}"} 2`,
      `invardiff_key_queue_depth{key="${digits(other)}"} 1`,
    ]
  ) assert(text.split("\n").includes(line), `${line}\n${text}`);
  assert(!text.includes(KEY) && !text.includes(digestOf(KEY)));
  toy.release();
  await app.drain();
});
