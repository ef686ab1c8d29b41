/**
 * Names and shapes of a model's tensors, and whether they are those that its configuration asks for.
 */

import { AssetError } from "../errors.ts";

/** Names and shapes of tensors, as far as a configuration depends on them. */
export interface TensorShapes {
  readonly names: ReadonlySet<string>;
  /** Shape of a tensor; `undefined` when it is absent. */
  dims(name: string): readonly number[] | undefined;
}

/**
 * Proves that tensors are the wanted ones, all of them and no others; `whole` is what they make up.
 *
 * @throws {AssetError} Naming the first missing, extra or mis-shaped tensor.
 */
export function checkTensors(
  wanted: ReadonlyMap<string, readonly number[]>,
  shapes: TensorShapes,
  whole: string,
): void {
  for (const [name, dims] of wanted) {
    const actual = shapes.dims(name);
    if (actual !== undefined && `${actual}` === `${dims}`) continue;
    throw new AssetError(
      `Cannot use weights: ${name} must be [${dims}]: current value is ${
        actual === undefined ? "missing" : `[${actual}]`
      }`,
    );
  }
  const extra = [...shapes.names].find((name) => !wanted.has(name));
  if (extra === undefined) return;
  throw new AssetError(
    `Cannot use weights: tensor ${extra} is not part of ${whole}.`,
  );
}
