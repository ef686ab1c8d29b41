/**
 * Plans as data: read and write them, bind them to a model, render them.
 *
 * @module
 */

export type { CellWeights, PlanColumns, StepWeights, TokenScore } from "./columns.ts";
export { planDigest } from "./digest.ts";
export { bindPlan, type PlanModel } from "./fit.ts";
export { formatPlan } from "./format.ts";
export { parsePlan } from "./parse.ts";
export type {
  Plan,
  PlanCalibration,
  PlanContext,
  PlanMeasurement,
  PlanPolicy,
  PlanReference,
  PlanSampler,
} from "./plan.ts";
export { renderSvg } from "./render/svg.ts";
export { renderText, type TextOptions } from "./render/text.ts";
export type { Cell, State } from "./cells.ts";
export type { CallRow, ForecastRow, ModuleRow, Row, StateRow } from "./row.ts";
