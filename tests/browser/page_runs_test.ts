/** How pictures are asked for, come, are told of and taken along on the page. */
import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { decode } from "fast-png";
import type { Page } from "playwright-core";
import { readPngText } from "../../src/image/png_text.ts";
import { requires } from "../_shim/requires.ts";
import {
  cancelAt,
  download,
  draw,
  jobOf,
  openAgain,
  openPage,
  otherJob,
  pngOf,
  type Steps,
  textOf,
  until,
  untilStatus,
  visitInSteps,
} from "./page_fixture.ts";

const needs = await requires("runs on the page in a browser", "chromium", "bundler");

const STEPS: Steps = {
  "each picture has another seed, until the lock keeps it; a seed that is typed is kept": async (
    opened,
  ) => {
    const { page } = opened;
    await openPage(opened);
    await page.locator("#steps").fill("1");
    const first = await seedOf(page);
    assertEquals(await drawnSeed(page), first); // whose noise was shown
    const second = await drawnSeed(page);
    assertNotEquals(second, first);
    await page.locator("#lock").click();
    assertEquals(await drawnSeed(page), second);
    await page.locator("#dice").click(); // which lets go
    const third = await seedOf(page);
    assertEquals(await drawnSeed(page), third);
    assertNotEquals(await drawnSeed(page), third);
    await page.locator("#seed").fill("5");
    assertEquals([await drawnSeed(page), await drawnSeed(page)], ["5", "5"]);
    await openPage(opened);
    assertNotEquals(await seedOf(page), first); // nor is a visit like the last
  },
  "several pictures are drawn at once, with seeds one after another, each in the history": async (
    opened,
  ) => {
    const { page } = opened;
    await openPage(opened);
    await page.locator("#count").fill("3");
    assertEquals(await textOf(page, "#generate"), "Generate 3");
    await page.locator("#steps").fill("2");
    await page.locator("#seed").fill("40");
    await page.locator("#generate").click();
    await untilStatus(page, /^Picture 3 of 3 · 2 steps in /);
    assertEquals(await page.locator(".card-title").allInnerTexts(), [
      ...[42, 41, 40].map((seed) => `T-shirt/top, seed ${seed}`),
    ]);
    await page.locator("#count").fill("8");
    await page.locator("#steps").fill("60");
    await page.locator("#generate").click();
    await untilStatus(page, /^Picture 1 of 8 · Step [1-9]/);
    await page.locator("#cancel").click();
    await untilStatus(page, /^Picture 1 of 8 · Cancelled after \d+ steps?\.$/);
    assertEquals(await page.locator("#cards li").count(), 3);
  },
  "a full server is asked again when it said, and then draws": async (opened) => {
    const { page } = opened;
    await openPage(opened);
    let refusals = 0;
    await page.route("**/v1/jobs", async (route) => {
      if (refusals++ > 0) return await route.continue();
      await route.fulfill({ status: 429, headers: { "retry-after": "1" } });
    });
    await page.locator("#steps").fill("1");
    await page.locator("#generate").click();
    await untilStatus(page, /^The server is busy\. This page asks again in 1 s…$/);
    await untilStatus(page, /^1 step in /);
    await page.unroute("**/v1/jobs");
  },
  "the place in the queue comes with its time": async (opened) => {
    const { page, app } = opened;
    await openPage(opened);
    const ids: string[] = [];
    for (const steps of [250, 249, 248]) { // unlike each other, so each is alone
      ids.push(await otherJob(app, { label: 0, steps }));
    }
    await until(async () => (await jobOf(app, ids[0]!)).step > 2);
    await page.locator("#steps").fill("1");
    await page.locator("#generate").click();
    await untilStatus(page, /^Place 3 in the queue, drawn in about .+ s…$/);
    for (const id of ids) await app.request(`/v1/jobs/${id}`, { method: "DELETE" });
    await untilStatus(page, /^1 step in /);
  },
  "a run that is cancelled or fails shows no speed, and a comparison that is cancelled keeps its picture":
    async (opened) => {
      const { page } = opened;
      await openPage(opened);
      await page.locator("label", { hasText: "8x" }).click();
      await page.locator("#compare").click();
      await page.locator("#generate").click();
      await cancelAt(page, /^Full computation: step [1-9]/);
      await untilStatus(page, /^6 steps in .* s\. The comparison was cancelled\.$/);
      assertEquals(await page.locator("#cards li").count(), 1); // what was finished is not lost
      assertMatch(await textOf(page, "#speed"), /^\d+(\.\d)?×$/); // nor what it told
      await page.locator("#compare").click();
      await page.locator("label", { hasText: "every step computed" }).click();
      await page.locator("#generate").click();
      await cancelAt(page, /^Step [2-9]/);
      await untilStatus(page, /^Cancelled after/);
      assertEquals([await textOf(page, "#speed"), await textOf(page, "#speed-how")], ["–", ""]);
      await page.route("**/v1/jobs/*/events", (route) => route.abort());
      await page.locator("#generate").click();
      await page.locator("#stage[data-phase=failed]").waitFor();
      assertEquals([await textOf(page, "#speed"), await textOf(page, "#speed-how")], ["–", ""]);
      await page.unroute("**/v1/jobs/*/events");
    },
  "figures are explained, plans have names of their own, and what cannot be compared is not offered":
    async (opened) => {
      const { page } = opened;
      await openPage(opened);
      assertMatch(await textOf(page, "#plan-hint"), /dB is how near .* at 40 dB .* 1 % /);
      const names = await page.locator("#plans label > span").allInnerTexts();
      const own = names.map((name) => name.split("\n")[0]);
      assertEquals(new Set(own).size, own.length);
      assertEquals(await page.locator("#compare").isEnabled(), true);
      await page.locator("label", { hasText: "every step computed" }).click();
      assertEquals(await page.locator("#compare").isEnabled(), false);
      assertMatch(await textOf(page, "#compare-hint"), /there is nothing to compare/);
      await page.locator("#sampler").selectOption({ index: 1 });
      assertEquals(await page.locator("#plans input").first().isDisabled(), true);
      assertMatch(await textOf(page, "#solver-hint"), /made for the model’s own solver/);
    },
  "a page that comes before its model says so and goes on by itself": async (opened) => {
    const { page, url } = opened;
    let refusals = 0;
    await page.route("**/v1/models", async (route) => {
      if (refusals++ > 0) return await route.continue();
      const error = { message: "The model is still loading" };
      await route.fulfill({
        ...{ status: 503, headers: { "retry-after": "1" }, contentType: "application/json" },
        body: JSON.stringify({ error }),
      });
    });
    await page.goto(url);
    await untilStatus(page, /^The model is still loading\. This page asks again in 1 s…$/);
    await page.locator("#generate:enabled").waitFor();
    await page.unroute("**/v1/models");
  },
  "a picture is downloaded as large as a person chooses, and still says how it was drawn": async (
    opened,
  ) => {
    const { page } = opened;
    await openPage(opened);
    await draw(page, { seed: 7, steps: 2 });
    const usual = await download(page, "#download");
    assertEquals([decode(usual.bytes).width, usual.name], [128, "t-shirt-top-7-full-x4.png"]);
    const small = await pngOf(page);
    assertEquals(decode(small).width, 32);
    await page.locator("#enlargement").selectOption("16");
    const { bytes, name } = await download(page, "#download");
    assertEquals(name, "t-shirt-top-7-full-x16.png");
    const [large, first] = [decode(bytes), decode(small)];
    assertEquals([large.width, large.height], [512, 512]);
    assertEquals(readPngText(bytes), readPngText(small));
    const at = (x: number, y: number): number | undefined =>
      large.data[(y * large.width + x) * large.channels];
    for (const [x, y] of [[0, 0], [17, 9], [31, 31]] as const) {
      assertEquals(at(x * 16 + 3, y * 16 + 12), first.data[(y * 32 + x) * first.channels]);
    }
    await openAgain(opened); // the choice is kept
    await page.locator(".card-show").click();
    await page.locator("#stage[data-phase=finished]").waitFor();
    assertEquals(await page.locator("#enlargement").inputValue(), "16");
  },
};

Deno.test("runs on the page", needs, async (test) => {
  await visitInSteps(test, STEPS);
});

async function seedOf(page: Page): Promise<string> {
  return await page.locator("#seed").inputValue();
}

/** Presses Generate; the seed of the picture that comes. */
async function drawnSeed(page: Page): Promise<string> {
  await page.locator("#generate").click();
  await page.locator("#stage[data-phase=finished]").waitFor();
  await page.locator("#generate:enabled").waitFor();
  return /, seed (\d+)$/.exec(await textOf(page, "#stage-title"))?.[1] ?? "";
}
