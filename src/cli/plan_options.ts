/**
 * The commands of `plan` and their options.
 */

import { policyLines } from "../calibrate/policies/table.ts";
import { hasFixedTimes } from "../sampler/solvers.ts";
import { MODEL } from "./open.ts";
import { decimal, file, list, text, whole } from "./option_readers.ts";
import { flag, option, type Reader, table } from "./options.ts";

const PLAN = {
  plan: option(text("a plan"), "PLAN  a file, or a bundled plan's name", { operand: true }),
};
const BOOK = {
  plan: option(file(), "FILE  cache book, or what a policy's authors publish", { operand: true }),
};
const OUT = { out: option(file(), "FILE  file to write", { required: true }) };
const grid: Reader<readonly [number, number]> = {
  wanted: "ROWSxCOLUMNS",
  read: (word) => {
    const [, rows, columns] = /^([1-9]\d{0,8})x([1-9]\d{0,8})$/.exec(word) ?? [];
    return columns === undefined ? undefined : [Number(rows), Number(columns)];
  },
};
const sampler = text("the name of a sampler", (word) => /^[a-z][\w-]*$/.test(word));

export const LIST = table({
  name: "plan list",
  summary: "the bundled plans",
  options: { json: flag("as JSON on stdout") },
});

export const SHOW = table({
  name: "plan show",
  summary: "a plan as a heat-map, and its facts",
  options: {
    ...PLAN,
    model: { ...MODEL, help: "DIR|FILE|URL  model whose speed-up and bytes are told (none)" },
    svg: option(file(".svg"), "FILE.svg  draw the heat-map"),
  },
});

export const CHECK = table({
  name: "plan check",
  summary: "whether a plan fits a model",
  options: { ...PLAN, model: MODEL, json: flag("the answer as JSON on stdout") },
});

export const IMPORT = table({
  name: "plan import",
  summary: "a plan from a published cache book, or from another policy's file",
  options: {
    ...BOOK,
    ...OUT,
    policy: option(
      text("a policy, with its settings after a colon"),
      "NAME[:SETTINGS]  whose file it is (InvarDiff's cache book); see below",
    ),
    model: { ...MODEL, help: "DIR|FILE|URL  model to bind the plan to (unbound)" },
    sampler: option(sampler, "NAME  sampler that the book was made for", { or: "ddim" }),
    steps: option(whole(1, 1000), "T  steps of ddim, or of the model's own sampler"),
    times: option(list(decimal(), "numbers"), "T,T,…  times of any sampler, instead of steps"),
    grid: option(grid, "RxC  rows and columns of tokens that it was made for"),
  },
  forbidden: [["steps", "with --times", ({ times }) => times !== undefined]],
  needed: [
    ["steps", "unless --times is", ({ times }) => times === undefined],
    [
      "times",
      "for this sampler, or --model of such a sampler",
      ({ sampler, model }) => !hasFixedTimes(sampler) && model === undefined,
    ],
  ],
  notes: ["policies, with their published settings:"]
    .concat(policyLines("read").map((line) => `  ${line}`)).join("\n"),
});

export const BIND = table({
  name: "plan bind",
  summary: "a plan with a model accepted for it",
  options: { ...PLAN, model: MODEL, ...OUT },
});

export const EXPORT = table({
  name: "plan export",
  summary: "a plan as a published cache book",
  options: { ...PLAN, ...OUT },
});
