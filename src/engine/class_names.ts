/**
 * Names of classes as people write them.
 */

import { oneOf } from "../nearest_names.ts";

/** Classes that a label chooses from. */
export interface Classes {
  readonly classes: number;
  /** Name of each; several with commas between them, or none at all. */
  readonly classNames: readonly string[];
}

/**
 * The class of a label: by index, by its whole name, by one of its names, else by the index that the text
 * writes in digits; `undefined` when there is none. Letter case does not matter.
 */
export function findLabel(
  label: number | string,
  { classes, classNames }: Classes,
): number | undefined {
  const index = typeof label === "number" ? label : indexOf(label, classNames);
  return Number.isInteger(index) && index >= 0 && index < classes ? index : undefined;
}

function indexOf(label: string, classNames: readonly string[]): number {
  const whole = exactName(label, classNames);
  if (whole !== undefined) return whole;
  const part = classNames.findIndex((names) =>
    names.split(",").some((name) => plain(name) === plain(label))
  );
  if (part >= 0) return part;
  return /^\s*\d+\s*$/.test(label) ? Number(label) : NaN;
}

/** The class whose whole name this is; `undefined` when there is none. */
export function exactName(label: string, classNames: readonly string[]): number | undefined {
  const found = classNames.findIndex((name) => plain(name) === plain(label));
  return found < 0 ? undefined : found;
}

/** What a label must be, for the message about one that is not. */
export function wantedLabel(label: number | string, { classes, classNames }: Classes): string {
  const names = classNames.length > 0 ? ` or ${oneOf(classNames, `${label}`)}` : "";
  return `an index in 0 … ${classes - 1}${names}`;
}

function plain(name: string): string {
  return name.trim().toLowerCase();
}
