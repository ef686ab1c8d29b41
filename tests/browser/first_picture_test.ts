/** What a first visit moves until a picture is drawn in the browser. */
import { assert } from "@std/assert";
import { requires } from "../_shim/requires.ts";
import { openPage, PEEPS, visit } from "./page_fixture.ts";

const needs = await requires("a first picture in a browser", "chromium", "bundler");

/** 40 % of what the first picture moved before anything was compressed, its weights apart. */
const MOST_BYTES = 0.4 * 30.6e6;

Deno.test("the first picture in this browser moves little beside the weights", needs, async () => {
  await visit({ model: PEEPS }, async (opened) => {
    const { page, sent } = opened;
    await openPage(opened);
    await page.locator("#steps").fill("1");
    await page.getByText("This browser", { exact: true }).click();
    await page.locator("#engine").selectOption("wasm");
    await page.locator("#generate").click();
    await page.locator("#notices", { hasText: "Drawn by this browser, wasm" }).waitFor();
    const weights = ([path]: readonly [string, number]): boolean => path.endsWith(".safetensors");
    const sum = (files: readonly (readonly [string, number])[]): number =>
      files.reduce((bytes, [, size]) => bytes + size, 0);
    const all = [...sent];
    const [kept, rest] = [sum(all.filter(weights)), sum(all.filter((file) => !weights(file)))];
    console.log(`a first picture: ${rest} bytes beside ${kept} of weights`);
    assert(kept > 15e6, "the weights were loaded");
    assert(rest <= MOST_BYTES, `${rest} bytes`);
  });
});
