import { assertEquals } from "@std/assert";
import { clip } from "../../src/text/clip.ts";
import { parseClipConfig } from "../../src/text/clip_config.ts";

/** Where the pooled output of ids is, under a configuration's end token. */
function endOf(ids: readonly number[], eosTokenId?: number): number | undefined {
  const json = { ...(eosTokenId !== undefined && { eos_token_id: eosTokenId }) };
  return clip(parseClipConfig(json, "CLIPTextModel")).pooling?.endOf({ ids });
}

Deno.test("the pooled output is at the first end token, pads that equal it notwithstanding", () => {
  assertEquals(endOf([49406, 5, 49407, 49407, 49407]), 2);
  assertEquals(endOf([49406, 5, 49407, 0, 0]), 2);
  assertEquals(endOf([7, 5, 9, 0, 0], 9), 2);
  assertEquals(endOf([7, 5, 3]), 0); // as transformers' arg-max of zeros
});

Deno.test("under configurations of before, whose end token is 2, it is at the first of the highest ids", () => {
  assertEquals(endOf([49406, 5, 49407, 49407], 2), 2);
  assertEquals(endOf([49406, 2, 49407, 2], 2), 2);
  assertEquals(endOf([3, 9, 9, 1], 2), 1);
});
