/**
 * The commands that there are.
 */

import { calibrate } from "./calibrate.ts";
import { CALIBRATE } from "./calibrate_options.ts";
import { compare } from "./compare.ts";
import { COMPARE } from "./compare_options.ts";
import { DOCTOR, doctor } from "./doctor.ts";
import { FETCH, fetchModel } from "./fetch.ts";
import { generate } from "./generate.ts";
import { GENERATE } from "./generate_options.ts";
import { type Command, command } from "./options.ts";
import { PACK, pack } from "./pack.ts";
import { PLAN_COMMANDS } from "./plan.ts";
import { SERVE } from "./serve_options.ts";

/** All commands, in the order of the usage. */
export const COMMANDS: readonly Command[] = [
  command(GENERATE, generate),
  // Loaded when it is called: other commands need no HTTP.
  command(SERVE, async (...given) => await (await import("./serve.ts")).serve(...given)),
  command(FETCH, fetchModel),
  command(CALIBRATE, calibrate),
  ...PLAN_COMMANDS,
  command(COMPARE, compare),
  command(PACK, pack),
  command(DOCTOR, doctor),
];
