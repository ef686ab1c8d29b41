/**
 * Names of classes as people write them.
 *
 * @module
 */

/** Whether a class, which may have several names separated by commas, goes by this one in any case. */
export function hasName(names: string, label: string): boolean {
  const wanted = label.trim().toLowerCase();
  return [names, ...names.split(",")].some((name) => name.trim().toLowerCase() === wanted);
}
