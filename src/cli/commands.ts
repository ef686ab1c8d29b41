/**
 * The commands that there are.
 */

import { generate } from "./generate.ts";
import { GENERATE } from "./generate_options.ts";
import { type Command, command } from "./options.ts";

/** A command by its name. */
export interface CommandEntry {
  /** The words that call it, those of its table. */
  readonly name: string;
  /** Loads it: calling one command needs no other's modules, of which there are a hundred. */
  readonly load: () => Promise<Command>;
}

/** All commands, in the order of the usage. */
export const COMMANDS: readonly CommandEntry[] = [
  { name: "generate", load: () => Promise.resolve(command(GENERATE, generate)) },
  {
    name: "serve",
    load: async () => {
      const { SERVE } = await import("./serve_options.ts");
      const serve = async () => (await import("./serve.ts")).serve; // its usage needs no HTTP
      return command(SERVE, async (...given) => await (await serve())(...given));
    },
  },
  {
    name: "fetch",
    load: async () => {
      const { FETCH, fetchModel } = await import("./fetch.ts");
      return command(FETCH, fetchModel);
    },
  },
  {
    name: "calibrate",
    load: async () => {
      const { CALIBRATE } = await import("./calibrate_options.ts");
      return command(CALIBRATE, (await import("./calibrate.ts")).calibrate);
    },
  },
  ...["list", "show", "check", "import", "bind", "export"].map((word) => ofPlan(`plan ${word}`)),
  {
    name: "compare",
    load: async () => {
      const { COMPARE } = await import("./compare_options.ts");
      return command(COMPARE, (await import("./compare.ts")).compare);
    },
  },
  {
    name: "pack",
    load: async () => {
      const { PACK, pack } = await import("./pack.ts");
      return command(PACK, pack);
    },
  },
  {
    name: "doctor",
    load: async () => {
      const { DOCTOR, doctor } = await import("./doctor.ts");
      return command(DOCTOR, doctor);
    },
  },
];

function ofPlan(name: string): CommandEntry {
  return {
    name,
    load: async () => {
      const { PLAN_COMMANDS } = await import("./plan.ts");
      return PLAN_COMMANDS.find(({ table }) => table.name === name)!; // a test holds them together
    },
  };
}
