/** The page in Debian's Chromium: drawn on the server, seen, compared, cancelled, by hand and by keyboard. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { loadPlan } from "../../src/engine/bundled_plans.ts";
import { readPngText } from "../../src/image/png_text.ts";
import { formatPlan } from "../../src/plan/format.ts";
import { planShape, shapeWords } from "../../src/page/plan_shape.ts";
import { requires } from "../_shim/requires.ts";
import {
  draw,
  openPage,
  type Steps,
  textOf,
  untilStatus,
  visit,
  visitInSteps,
} from "./page_fixture.ts";

const needs = await requires("the page in a browser", "chromium", "bundler");

const STEPS: Steps = {
  "a person picks Sneaker, sees it come, and sees what the plan saved": async (opened) => {
    const { page, complaints } = opened;
    await openPage(opened);
    assertEquals(await page.evaluate("crossOriginIsolated"), true);
    await page.locator("#seed").fill("7");
    assertMatch(await textOf(page, "#status"), /^Ready\. Seed 7 starts from this noise\.$/);
    const plan = JSON.parse(formatPlan(loadPlan("fashion-dit.4x"))); // what auto takes
    assertEquals(await textOf(page, "#map-caption"), shapeWords(planShape(plan), 50));
    const noise = await page.locator("#picture").screenshot();
    await page.getByText("Sneaker", { exact: true }).click();
    await page.locator("#compare").click();
    await page.locator("#generate").click();
    await untilStatus(page, /^Step \d+ of 12, computed/);
    await page.locator("#map .now.on").waitFor({ state: "attached" });
    await untilStatus(page, /^Full computation: step \d+ of 50, computed/);
    await untilStatus(page, /^Drawn in .* s instead of .* s\.$/);
    assert(!noise.equals(await page.locator("#picture").screenshot()));
    assertMatch(await textOf(page, "#speed"), /^\d+\.\d×$/);
    assertMatch(await textOf(page, "#psnr"), /^[34]\d\.\d dB$/); // 50 steps are some 40 from where the plan goes
    assertEquals(await page.locator("#difference").isVisible(), true);
    assertEquals(await page.locator("#cards li").count(), 1);
    const record = await downloadedRecord(page);
    assertEquals([record["labels"], record["seed"], record["steps"]], [[7], 7, 12]);
    assertEquals(complaints, []);
  },
  "the keyboard alone picks, draws, moves the divider and cancels": async (opened) => {
    const { page, complaints } = opened;
    await openPage(opened);
    const press = (key: string): Promise<void> => page.keyboard.press(key);
    const focused = (): Promise<string> =>
      page.evaluate("document.activeElement.id || document.activeElement.name");
    await press("Tab");
    assertEquals(await textOf(page, ":focus"), "Skip to the picture");
    await press("Tab");
    assertEquals(await focused(), "scheme");
    await press("Tab");
    assertEquals(await focused(), "class");
    await press("ArrowRight");
    assertMatch(await textOf(page, "#stage-title"), /^Trouser, seed \d+$/);
    for (
      const wanted of [
        "generate",
        "image",
        "SUMMARY",
        "seed",
        "dice",
        "lock",
        "count",
        "steps",
        "sampler",
        "guidance",
        "plan",
        "place",
        "compare",
      ]
    ) {
      await press("Tab");
      const now = wanted === "SUMMARY"
        ? await page.evaluate("document.activeElement.tagName")
        : await focused();
      assertEquals(now, wanted);
      if (wanted === "compare") await press("Space");
      if (wanted === "plan") { // the last but one, of ten steps
        await press("ArrowUp");
        await press("ArrowUp");
      }
    }
    await page.locator("#generate").focus();
    await press("Enter");
    await untilStatus(page, /^Full computation: step \d+ of 50/);
    await page.locator("#divider").waitFor();
    await page.locator("#generate:focus").waitFor(); // it had the focus before
    await page.locator("#divider").focus();
    await press("ArrowLeft");
    assertEquals(
      await page.evaluate("getComputedStyle(document.querySelector('#full')).clipPath"),
      "inset(0px 0px 0px 49%)",
    );
    await page.locator("#steps").fill("250");
    await press("Enter");
    await untilStatus(page, /^Step [1-9]\d* of 250/);
    await press("Escape");
    await untilStatus(page, /^Cancelled after \d+ steps?\.$/);
    assertEquals(complaints, []);
  },
  "cancelling frees the server for the next picture": async (opened) => {
    const { page, renderer, complaints } = opened;
    await openPage(opened);
    await page.locator("#steps").fill("250");
    await page.locator("#generate").click();
    await untilStatus(page, /^Step [1-9]\d* of 250/);
    await page.locator("#cancel").click();
    await untilStatus(page, /^Cancelled after/);
    await page.locator("#steps").fill("2");
    await page.locator("#generate").click();
    await untilStatus(page, /^2 steps in/);
    assertEquals((await renderer.counts()).values, 0);
    assertEquals(complaints, []);
  },
  "a server that is gone, or refuses, is told in words": async (opened) => {
    const { page } = opened;
    await openPage(opened);
    await page.route("**/v1/jobs", (route) => route.abort());
    await page.locator("#generate").click();
    await untilStatus(page, /^The server does not answer\. Is it still running\?$/);
    await page.unroute("**/v1/jobs");
    await page.route(
      "**/v1/jobs",
      (route) => route.fulfill({ status: 429, headers: { "retry-after": "3" } }),
    );
    await page.locator("#generate").click();
    await untilStatus(page, /^The server is busy\. This page asks again in 3 s…$/);
    await page.locator("#cancel").click();
    await untilStatus(page, /^Cancelled\.$/);
    await page.unroute("**/v1/jobs");
    assertEquals(await page.locator("#generate").isEnabled(), true);
  },
  "a card of the gallery brings its picture and its parameters back": async (opened) => {
    const { page } = opened;
    await openPage(opened);
    for (const [name, seed] of [["Bag", 11], ["Coat", 12]] as const) {
      await page.getByText(name, { exact: true }).click();
      await draw(page, { seed, steps: 2 });
      await page.locator(`#cards li:has-text("${name}, seed ${seed}")`).waitFor();
    }
    await page.locator("#cards li").nth(1).locator(".card-show").click();
    await page.locator("#stage-title", { hasText: "Bag, seed 11" }).waitFor();
    assertMatch(await textOf(page, "#status"), /^2 steps in /); // and not what is to come
    assertMatch(await textOf(page, "#time"), /^\d.* s$/);
    assertEquals(await textOf(page, "#speed-how"), "no plan: every step computed");
    assertEquals(await page.locator("#seed").inputValue(), "11");
    assertEquals(await page.getByLabel("Bag", { exact: true }).isChecked(), true);
  },
};

Deno.test("the page, by hand and by keyboard", needs, async (test) => {
  await visitInSteps(test, STEPS);
});

Deno.test(
  "the page under a path of a proxy draws on the server and in the browser",
  needs,
  async () => {
    const path = "/draw/";
    await visit({ path, app: { publicUrl: `https://x.example${path}` } }, async (opened) => {
      const { page, complaints } = opened;
      await openPage(opened);
      await page.locator("#steps").fill("4");
      await page.locator("#generate").click();
      await untilStatus(page, /^4 steps in /);
      await page.getByText("This browser", { exact: true }).click();
      await page.locator("#engine").selectOption("wasm");
      await page.locator("#generate").click();
      await untilStatus(page, /^4 steps in /);
      assertEquals(await page.locator("#cards li").count(), 2);
      assertEquals(complaints, []);
    });
  },
);

Deno.test("the page asks for a key, again when it is wrong, and draws with it", needs, async () => {
  await visit({ app: { apiKeys: ["right"] } }, async (opened) => {
    const { page, url, complaints } = opened;
    await page.goto(url);
    await page.locator("#key").fill("wrong");
    await page.keyboard.press("Enter");
    await page.getByText("The server refused that key.").waitFor();
    await page.locator("#key").fill("right");
    await page.keyboard.press("Enter");
    await page.locator("#generate:enabled").waitFor();
    await page.locator("#steps").fill("2");
    await page.locator("#generate").click();
    await untilStatus(page, /^2 steps in/);
    const others = complaints.filter((line) => !line.includes("status of 401")); // Chromium tells of each
    assertEquals(others, []);
  });
});

async function downloadedRecord(
  page: import("playwright-core").Page,
): Promise<Record<string, unknown>> {
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.locator("#download").click(),
  ]);
  assertMatch(download.suggestedFilename(), /^sneaker-7-fashion-dit\.4x-x4\.png$/);
  const bytes = await Deno.readFile(await download.path());
  return JSON.parse(readPngText(bytes)["invardiff"] ?? "{}");
}
