/**
 * Learning-to-Cache: every second step is computed in full, and at the steps between a router, which was trained,
 * says of each module whether it is computed. Routers are read as published; they are trained elsewhere.
 *
 * *Source:* arXiv 2406.01733 and its published code (horseee/learning-to-cache), DiT.
 */

import type { StoredWeights } from "../../assets/weights.ts";
import { PlanError } from "../../errors.ts";
import { evenRow, reuseRow, type Row } from "../../plan/row.ts";
import type { Policy } from "./policy.ts";

const SETTINGS = {
  threshold: {
    words: "a module is computed where its router's share is above; 0.9 for 512² pictures",
    or: 0.1,
    least: 0,
    most: 1,
  },
} as const;

/** The policy. */
export const LEARNING_TO_CACHE: Policy<typeof SETTINGS> = {
  words: "a trained router's modules, at every second step; reads its .pt file",
  settings: SETTINGS,
  read: async (file, { threshold }, { sampler: { times } }) => {
    const logits = await readRouters(await file.checkpoint("routers"), times.length);
    const modules = logits[0]!.map((_, m) => `blocks.${m >> 1}.${m % 2 === 0 ? "attn" : "mlp"}`);
    return { architecture: "dit", modules, rows: routedRows(logits, threshold) };
  },
};

/**
 * The rows of routers.
 *
 * @param logits By step, noisiest first: of each module, attention and MLP in turn.
 */
function routedRows(
  logits: readonly (readonly number[])[],
  threshold: number,
): readonly Row[] {
  return logits.map((row, step) =>
    step % 2 === 0
      ? evenRow("run", row.length)
      : reuseRow(row.map((logit) => !(1 / (1 + Math.exp(-logit)) > threshold)))
  );
}

/** A router for each step, noisiest first: files count from the last step. */
async function readRouters(
  file: StoredWeights,
  steps: number,
): Promise<readonly (readonly number[])[]> {
  if (file.names.size !== steps) refuse("routers", `${steps}, one for each step`, file.names.size);
  if (steps % 2 === 1) {
    refuse(
      "steps",
      "even, for routers are looked up from the end and full steps from the start",
      steps,
    );
  }
  const routers: (readonly number[])[] = [];
  for (let step = 0; step < steps; step++) {
    const name = `${steps - 1 - step}.prob`;
    const { length: count } = routers[0] ?? [];
    const dims = file.dims(name);
    const [size = 0] = dims ?? [];
    if (dims?.length !== 1 || size === 0 || size % 2 === 1 || size !== (count || size)) {
      const wanted = count ? `${count} long, as the others` : "a list of pairs: attention and MLP";
      refuse(`router ${name}`, wanted, dims === undefined ? "missing" : `[${dims}]`);
    }
    const { data } = await file.read(name);
    const wrong = data.findIndex((logit) => Number.isNaN(logit));
    if (wrong >= 0) refuse(`router ${name}, module ${wrong}`, "a number", data[wrong]);
    routers.push([...data]);
  }
  return routers;
}

function refuse(what: string, wanted: string, current: unknown): never {
  throw new PlanError(
    `Cannot import router: ${what} must be ${wanted}: current value is ${current}`,
  );
}
