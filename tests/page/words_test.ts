import { assertEquals, assertStringIncludes } from "@std/assert";
import { searchClasses } from "../../src/page/class_search.ts";
import {
  fileName,
  formatByteProgress,
  formatCount,
  formatDecibels,
  formatFactor,
  formatSeconds,
} from "../../src/page/format.ts";
import { BROWSER_MODELS, RUNTIME_FOLDER } from "../../src/page/contract.ts";
import { ICON, renderShell } from "../../src/page/shell.ts";
import { readDenoConfig } from "../../scripts/check/deno_config.ts";

Deno.test("numbers are told as people read them", () => {
  assertEquals([0.4242, 12.34, 59.4, 125.4, 359.7].map(formatSeconds), [
    "0.42 s",
    "12.3 s",
    "59.4 s",
    "2 min 5 s",
    "6 min",
  ]);
  assertEquals([2.93, 41.4].map(formatFactor), ["2.9×", "41×"]);
  assertEquals([38.04, Infinity].map(formatDecibels), ["38.0 dB", "identical"]);
  assertEquals(formatByteProgress(3_140_000, 30_200_000), "3.1 of 30.2 MB");
  assertEquals([formatCount(1, "step"), formatCount(2, "step")], ["1 step", "2 steps"]);
  assertEquals(
    fileName(["T-shirt/top", 7, "fashion-dit.ddim50.fast"]),
    "t-shirt-top-7-fashion-dit.ddim50.fast",
  );
});

Deno.test("searchClasses() finds by index, word, beginning, part and letters in order, best first", () => {
  const names = ["T-shirt/top", "Shirt", "Ankle boot", "Sneaker", "Coat"];
  const classes = names.map((name, label) => ({ label, name }));
  const found = (query: string): string[] => searchClasses(classes, query).map(({ name }) => name);
  assertEquals(found(""), names);
  assertEquals(found(" shirt "), ["Shirt", "T-shirt/top"]);
  assertEquals(found("boot"), ["Ankle boot"]);
  assertEquals(found("3"), ["Sneaker"]);
  assertEquals(found("abt"), ["Ankle boot"]);
  assertEquals(found("zz"), []);
});

Deno.test("renderShell() has nothing inline, labels every field, and escapes what it is told", () => {
  const html = renderShell({ version: '1"<', browserModels: ["a", "b"] });
  assertEquals(/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:/i.exec(html), null);
  assertEquals(/https?:/.exec(html), null); // nothing from elsewhere
  assertEquals(html.includes("1&#34;&#60;"), true);
  assertEquals(html.includes(`<meta name="${BROWSER_MODELS}" content="a b">`), true);
  const fields = [...html.matchAll(/<(?:input|select|textarea)\b[^>]*>/g)].map(([field]) => field);
  const unlabelled = fields.filter((field) => {
    const id = /\sid="([\w-]+)"/.exec(field)?.[1];
    const labelled = html.includes(`for="${id}"`) || /\saria-label=/.test(field);
    const inLabel = html.includes(`<label>${field}<span>`);
    return !labelled && !inLabel && !html.includes(`<label>${field}`) &&
      !html.includes(`<label class="switch">${field}`);
  });
  assertEquals(unlabelled, []);
  assertEquals(ICON.startsWith("<svg"), true);
});

Deno.test("the runtime's folder has the version of onnxruntime-web in its name", async () => {
  const { packages } = await readDenoConfig(new URL("../../", import.meta.url));
  const version = packages["onnxruntime-web"]?.split("@").at(-1);
  assertEquals(RUNTIME_FOLDER, `ort-${version}/`);
});

Deno.test("the page's links are relative: a proxy may put the server under any path", () => {
  const shell = renderShell({ version: "1", browserModels: [] });
  const links = [...shell.matchAll(/\b(?:href|src)="([^"#]+)"/g)].map(([, link]) => link!);
  assertEquals(links.length, 5);
  for (const link of links) {
    const { href } = new URL(link, "https://x.example/draw/");
    assertStringIncludes(href, "https://x.example/draw/");
  }
});
