import { assertEquals, assertThrows } from "@std/assert";
import { openMemory } from "../../src/assets/source.ts";
import { openSubfolder } from "../../src/assets/subfolder.ts";
import { AssetError } from "../../src/errors.ts";

Deno.test("openSubfolder() reads the files of one folder and no others", async () => {
  const outer = openMemory(new Map([["vae/a", Uint8Array.of(1, 2, 3)], ["a", new Uint8Array(9)]]));
  const vae = openSubfolder(outer, "vae");
  assertEquals(await vae.size("a"), 3);
  assertEquals(await vae.size("b"), undefined);
  assertEquals(await vae.read("a", { offset: 1, length: 2 }), Uint8Array.of(2, 3));
  assertThrows(() => vae.size("../a"), AssetError, "stay inside of the model directory");
});
