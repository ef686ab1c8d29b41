/** What may happen to a GPU that a browser lends: it is lost, its timers and maps are slow. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Page } from "playwright-core";
import { requires } from "../_shim/requires.ts";
import { openPage, textOf, untilStatus, type Visit, visit } from "./page_fixture.ts";

const needs = await requires("a GPU in a browser", "chromium", "bundler");

/** Runs in the worker before anything else: it obeys orders about its device and clocks. */
const ORDERS = `
const orders = new BroadcastChannel("orders");
const { createCommandEncoder } = GPUDevice.prototype;
let device;
GPUDevice.prototype.createCommandEncoder = function (...args) {
  device = this;
  return createCommandEncoder.apply(this, args);
};
const { mapAsync } = GPUBuffer.prototype;
const later = globalThis.setTimeout;
const obey = {
  lose: () => device.destroy(),
  slow: () => {
    globalThis.setTimeout = (call, ms = 0, ...rest) => later(call, Math.max(ms, 1000), ...rest);
    GPUBuffer.prototype.mapAsync = async function (...args) {
      orders.postMessage("slowed");
      await new Promise((resolve) => later(resolve, 1000));
      return await mapAsync.apply(this, args);
    };
  },
};
orders.onmessage = ({ data }) => obey[data]?.();
`;

/** What the page is told, or is told by the worker. */
const LISTEN = `
globalThis.heard = [];
new BroadcastChannel("orders").onmessage = ({ data }) => heard.push(data);
`;

const STEPS: Readonly<Record<string, (page: Page, wanted: string) => Promise<void>>> = {
  "says that its device was lost, and draws the next picture on another": async (page, wanted) => {
    await press(page, 250);
    await untilStatus(page, /^Step [3-9]/);
    await order(page, "lose");
    await untilStatus(page, /^Cannot compute on the GPU: its device was lost/);
    await press(page, 4);
    assertEquals(await drawn(page, 4), wanted);
    assertMatch(await textOf(page, "#notices"), /Drawn by this browser, webgpu/);
  },
  "waits for slow timers and maps of a tab in the background": async (page, wanted) => {
    await order(page, "slow");
    await press(page, 4);
    assertEquals(await drawn(page, 4), wanted);
    assert(await page.evaluate(`heard.includes("slowed")`));
  },
};

Deno.test("this browser on WebGPU", needs, async (test) => {
  await visit({ webgpu: true }, async (opened) => {
    const { page, complaints } = opened;
    await page.route("**/page/worker.js", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: ORDERS + await response.text() });
    });
    await chooseWebGpu(opened);
    await page.evaluate(LISTEN);
    await press(page, 4);
    const wanted = await drawn(page, 4);
    for (const [name, step] of Object.entries(STEPS)) {
      await test.step(name, () => step(page, wanted));
    }
    const others = complaints.filter((line) => !/device|GPU/i.test(line)); // the browser tells of the loss too
    assertEquals(others, []);
  });
});

async function chooseWebGpu(opened: Visit): Promise<void> {
  await openPage(opened);
  await opened.page.getByText("This browser", { exact: true }).click();
  await opened.page.locator("#engine").selectOption("webgpu");
}

/** Presses the button for a picture of so many steps, without a plan. */
async function press(page: Page, steps: number): Promise<void> {
  await page.locator("#seed").fill("7");
  await page.locator("#steps").fill(`${steps}`);
  await page.locator("#generate").click();
}

/** The picture, when it is there. */
async function drawn(page: Page, steps: number): Promise<string> {
  await untilStatus(page, new RegExp(`^${steps} steps in`));
  const url = await page.evaluate("document.querySelector('#picture').toDataURL()");
  assert(typeof url === "string");
  return url;
}

async function order(page: Page, what: "lose" | "slow"): Promise<void> {
  await page.evaluate(`new BroadcastChannel("orders").postMessage("${what}")`);
}
