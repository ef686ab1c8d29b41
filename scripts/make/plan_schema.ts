/** Writes the JSON Schema of plan files: `deno run --allow-write scripts/make/plan_schema.ts`. */
import { planJsonSchema } from "../../src/plan/plan_schema.ts";

await Deno.writeTextFile(
  new URL("../../plans/plan.schema.json", import.meta.url),
  planJsonSchema(),
);
