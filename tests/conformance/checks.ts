/** Everything that must hold for every backend. */
import type { BackendCheck } from "./check.ts";
import { LIFE_CHECKS } from "./life_checks.ts";
import { NUMBER_CHECKS } from "./number_checks.ts";
import { PIPELINE_CHECKS } from "./pipeline_checks.ts";

/** All checks, the simplest first. */
export const CHECKS: readonly BackendCheck[] = [
  ...NUMBER_CHECKS,
  ...LIFE_CHECKS,
  ...PIPELINE_CHECKS,
];
