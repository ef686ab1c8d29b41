/**
 * Cold start of the service in each runtime, as its client sees it (a Worker's own clock may stand still):
 * seconds from the start of the process until it listens, until the first step of a picture is seen, and
 * from the request to the first step once it is warm.
 *
 *     deno task cold-start                        every runtime that is here, on wasm
 *     deno task cold-start --only deno --rounds 3
 *     deno task cold-start --model fashion-dit    peeps-flux, which encodes a prompt first, unless given
 *
 * Runtimes alternate; medians are printed.
 */
import { parseArgs } from "../parse_args.ts";
import { Client, json } from "../../tests/edge/client.ts";
import { SERVER_NEEDS, type ServerName, withServer } from "../../tests/edge/servers.ts";
import { isHere } from "../../tests/_shim/requires.ts";
import { median } from "../../src/calibrate/median.ts";

/** What each model draws. */
const SUBJECTS: Readonly<Record<string, unknown>> = {
  "peeps-flux": {
    prompt: "a person with curly hair, sunglasses and a green shirt, light blue background",
  },
  "fashion-dit": { label: 7 },
};
/** Previews after each of the first three steps. */
const WAY = { seed: 7, steps: 4, plan: "none", stream: true, partial_images: 3 };
const NAMES: readonly ServerName[] = ["deno", "bun", "node", "workerd"];

interface Start {
  readonly listen: number;
  readonly firstStep: number;
  readonly warmStep: number;
}

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    rounds: { type: "string", default: "5" },
    model: { type: "string", default: "peeps-flux" },
  },
});
const request = { ...Object(SUBJECTS[values.model]), ...WAY };
const folder = new URL(`../../models/${values.model}/`, import.meta.url).pathname;
const names = await Array.fromAsync(
  NAMES.filter((name) => values.only === undefined || name === values.only),
  async (name) => (await isHere(...SERVER_NEEDS[name])) ? [name] : [],
);
const starts = new Map<ServerName, Start[]>();
for (let round = 0; round < Number(values.rounds); round++) {
  for (const name of names.flat()) {
    starts.set(name, [...starts.get(name) ?? [], await startOf(name)]);
  }
}
console.log("| runtime | listens | first step | first step, warm |");
console.log("| --- | --- | --- | --- |");
for (const [name, each] of starts) {
  const [listen, firstStep, warmStep] = (["listen", "firstStep", "warmStep"] as const)
    .map((key) => `${median(each.map((start) => start[key])).toFixed(2)} s`);
  console.log(`| ${name} | ${listen} | ${firstStep} | ${warmStep} |`);
}

function startOf(name: ServerName): Promise<Start> {
  return withServer(name, async ({ base, listenSeconds }) => {
    const client = new Client(base);
    const loading = await secondsToStep(client);
    return {
      listen: listenSeconds,
      firstStep: listenSeconds + loading,
      warmStep: await secondsToStep(client),
    };
  }, { INVARDIFF_BACKEND: "wasm", INVARDIFF_MODEL: folder });
}

/** Seconds until the first preview; the request is repeated while the model loads. */
async function secondsToStep(client: Client): Promise<number> {
  const begun = performance.now();
  for (;;) {
    const stop = new AbortController();
    const init = { ...json(request), signal: stop.signal };
    const response = await fetch(new URL("/v1/images/generations", client.base), init);
    if (response.status === 200) {
      for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
        if (!text.includes("image_generation.partial_image")) continue;
        const seconds = (performance.now() - begun) / 1000;
        stop.abort();
        return seconds;
      }
    }
    await response.body?.cancel();
    await new Promise((resolve) => setTimeout(resolve, 10)); // the model needs the cores more than we do
  }
}
