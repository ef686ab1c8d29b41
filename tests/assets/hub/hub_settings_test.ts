import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { cacheFolder, readHubSettings } from "../../../src/assets/hub/hub_settings.ts";
import { openModelDirectory } from "../../../src/assets/model_dir.ts";
import { AssetError } from "../../../src/errors.ts";

Deno.test("readHubSettings() takes the public hub, nobody's token and the network unless told", () => {
  const { endpoint, token, offline } = readHubSettings({});
  assertEquals([endpoint.protocol, token, offline], ["https:", undefined, false]);
});

Deno.test("readHubSettings() takes mirror, token and offline mode from the environment", () => {
  const mirror = "http://127.0.0.1:8080/hub/";
  const env = { HF_ENDPOINT: mirror, HF_TOKEN: " hf_a\n", HF_HUB_OFFLINE: "1" };
  const { endpoint, token, offline } = readHubSettings(env);
  assertEquals([endpoint.href, token, offline], [mirror, "hf_a", true]);
  for (const text of ["1", "true", "YES", "on"]) {
    assertEquals(readHubSettings({ INVARDIFF_OFFLINE: text }).offline, true);
  }
  for (const text of ["", "0", "false"]) {
    assertEquals(readHubSettings({ HF_HUB_OFFLINE: text }).offline, false);
  }
});

Deno.test("readHubSettings() refuses an endpoint that is no URL", () => {
  for (const HF_ENDPOINT of ["hub.example", "ftp://hub.example", "file:///x"]) {
    assertThrows(() => readHubSettings({ HF_ENDPOINT }), AssetError, "HF_ENDPOINT must be");
  }
});

Deno.test("cacheFolder() is the platform's, or what INVARDIFF_CACHE says", () => {
  assertEquals(cacheFolder("linux", { HOME: "/home/a" }), "/home/a/.cache/invardiff");
  assertEquals(cacheFolder("linux", { XDG_CACHE_HOME: "/x", HOME: "/home/a" }), "/x/invardiff");
  assertEquals(cacheFolder("darwin", { HOME: "/Users/a" }), "/Users/a/Library/Caches/invardiff");
  assertEquals(cacheFolder("win32", { LOCALAPPDATA: "C:\\A" }), "C:\\A/invardiff");
  assertEquals(cacheFolder("win32", { INVARDIFF_CACHE: "D:\\models\\" }), "D:\\models");
  assertThrows(() => cacheFolder("linux", {}), AssetError, "INVARDIFF_CACHE or XDG_CACHE_HOME");
});

Deno.test({
  name: "hf:// says which permission is missing when it may not read the environment",
  permissions: { env: false },
  fn: async () => {
    await assertRejects(
      () => openModelDirectory("hf://owner/name"),
      AssetError,
      "(Deno: --allow-env=HF_ENDPOINT)",
    );
  },
});

Deno.test({
  name: "a model that is in memory asks for no permission of hubs",
  permissions: "none",
  fn: async () => {
    await assertRejects(() => openModelDirectory(new Map()), AssetError, "Cannot open model");
  },
});
