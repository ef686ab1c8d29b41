import { assertEquals } from "@std/assert";
import { startHash } from "../../../src/assets/store/content_hash.ts";

Deno.test("startHash() hashes a git blob as git does", async () => {
  const hash = await startHash("git", 6);
  hash.update(new TextEncoder().encode("hel"));
  hash.update(new TextEncoder().encode("lo\n"));
  assertEquals(hash.hex(), "ce013625030ba8dba906f756967f9e9ca394464a"); // echo hello | git hash-object --stdin
});

Deno.test("startHash() hashes with sha256", async () => {
  const hash = await startHash("sha256", 3);
  hash.update(new TextEncoder().encode("abc"));
  // FIPS 180-2, appendix B.1
  assertEquals(hash.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});
