import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  formatHubLocation,
  hubHint,
  isCommit,
  parseHubLocation,
} from "../../../src/assets/hub/hub_location.ts";
import { openModelDirectory } from "../../../src/assets/model_dir.ts";
import { AssetError } from "../../../src/errors.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";

for (
  const [text, expected] of [
    ["hf://a/b", ["a", "b", "main", ""]],
    ["hf://a/b/", ["a", "b", "main", ""]],
    ["HF://Black-Forest.Labs/FLUX.1_dev", ["Black-Forest.Labs", "FLUX.1_dev", "main", ""]],
    ["hf://a/b/transformer", ["a", "b", "main", "transformer"]],
    ["hf://a/b@v1.0", ["a", "b", "v1.0", ""]],
    ["hf://a/b@v1.0/x/y/", ["a", "b", "v1.0", "x/y"]],
    [`hf://a/b@${COMMIT}/x`, ["a", "b", COMMIT, "x"]],
    ["hf://a/b@refs/pr/3/x", ["a", "b", "refs/pr/3", "x"]],
    ["hf://a/b@refs%2Fpr%2F3", ["a", "b", "refs/pr/3", ""]],
    ["hf://a/b@feature%2Fone", ["a", "b", "feature/one", ""]],
    ["hf://a/b/a%20folder", ["a", "b", "main", "a folder"]],
    ["hf://a/b/x@y", ["a", "b", "main", "x@y"]],
  ] as const
) {
  Deno.test(`parseHubLocation() understands ${text}`, () => {
    const { owner, name, revision, folder, file } = parseHubLocation(text);
    assertEquals([owner, name, revision, folder], [...expected]);
    assertEquals(file, undefined);
  });
}

Deno.test("parseHubLocation() tells a file from the folder that it is in", () => {
  const { folder, file } = parseHubLocation("hf://a/b@main/sub/flux1-dev.safetensors");
  assertEquals([folder, file], ["sub", "flux1-dev.safetensors"]);
  assertEquals(parseHubLocation("hf://a/b/model.safetensors").folder, "");
});

for (
  const [text, says] of [
    ["hf://", "its owner must be"],
    ["hf:///b", "its owner must be"],
    ["hf://a", "its name must be"],
    ["hf://a/", "its name must be"],
    ["hf://../b", "its owner must be"],
    ["hf://a/..", "its name must be"],
    ["hf://a/.git", "its name must be"],
    ["hf://a b/c", "its owner must be"],
    ["hf://a/b c", "its name must be"],
    ["hf://a/b?x=1", "its name must be"],
    [`hf://a/${"b".repeat(97)}`, "its name must be"],
    ["hf://a/b@", "its revision must be"],
    ["hf://a/b@/x", "its revision must be"],
    ["hf://a/b@..", "its revision must be"],
    ["hf://a/b@x%2F..%2Fy", "its revision must be"],
    ["hf://a/b@one two", "its revision must be"],
    [`hf://a/b@${"1".repeat(201)}`, "its revision must be"],
    ["hf://a/b@%zz", "its percent signs must encode"],
    ["hf://a/b/%zz", "its percent signs must encode"],
    ["hf://a/b/../c", "its subfolder must be"],
    ["hf://a/b/%2e%2e/c", "its subfolder must be"],
    ["hf://a/b//c", "its subfolder must be"],
    ["hf://a/b/./c", "its subfolder must be"],
    ["hf://a/b/ c", "its subfolder must be"],
    ["hf://a/b/c\\d", "its subfolder must be"],
    ["hf://a/b/c:d", "its subfolder must be"],
    ["https://a/b", "it must begin with hf://"],
  ] as const
) {
  Deno.test(`parseHubLocation() refuses ${text.slice(0, 40)}`, async () => {
    const error = assertThrows(() => parseHubLocation(text), AssetError, says);
    assertEquals(error.message.startsWith("Cannot open model: "), true);
    if (text.startsWith("hf:")) {
      await assertRejects(() => openModelDirectory(text), AssetError, says);
    }
  });
}

Deno.test("parseHubLocation() understands what formatHubLocation() writes, and refuses by AssetError", () => {
  const text = fc.string({ unit: "binary", maxLength: 60 }).map((tail) => `hf://a/b${tail}`);
  fc.assert(
    fc.property(text, (text) => {
      try {
        const location = parseHubLocation(text);
        if (/[%@]/.test(location.folder + location.file)) return; // written plainly, read decoded
        assertEquals(parseHubLocation(formatHubLocation(location)), location);
      } catch (error) {
        assertEquals(error instanceof AssetError, true, `${error}`);
      }
    }),
    { seed: 6, numRuns: 2000 },
  );
});

Deno.test("hubHint() is for what reads as owner and name, and for nothing else", () => {
  assertEquals(
    hubHint("facebook/DiT-XL-2-256"),
    "; a model of a hub begins with hf://, as in hf://facebook/DiT-XL-2-256",
  );
  for (const text of ["", "DiT", "/DiT", "./DiT", "../DiT", "a/b/c", "a/", "hf://a/b", "a b/c"]) {
    assertEquals(hubHint(text), "");
  }
});

Deno.test("isCommit() takes whole commits only", () => {
  assertEquals([COMMIT, COMMIT.slice(1), "main", COMMIT.toUpperCase()].map(isCommit), [
    true,
    false,
    false,
    false,
  ]);
});
