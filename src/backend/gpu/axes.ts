/**
 * Numbers of a value that lie in another order than the value's own.
 */

/** An axis of a value: how many places it has, and how far apart they lie. */
export interface Axis {
  readonly size: number;
  readonly stride: number;
}

/** The axes of a value, outermost first. */
export type Axes = readonly Axis[];

/** WGSL for where the number lies that has this index in the value's own order; absent axes = there. */
export function placeText(index: string, axes: Axes | undefined): string {
  if (axes === undefined) return index;
  let inside = 1;
  const terms = axes.toReversed().map(({ size, stride }) => {
    const term = `${index} / ${inside}u % ${size}u * ${stride}u`;
    inside *= size;
    return term;
  });
  return terms.join(" + ");
}

/** Numbers of a value's own order in that other one. */
export function rearranged(
  numbers: Float32Array,
  axes: Axes | undefined,
): Float32Array<ArrayBuffer> {
  const found = new Float32Array(numbers.length);
  if (axes === undefined) {
    found.set(numbers);
    return found;
  }
  const strides = axes.map(({ stride }) => stride);
  const at = axes.map(() => 0);
  for (const number of numbers) {
    found[at.reduce((sum, place, i) => sum + place * strides[i]!, 0)] = number; // as many
    for (let axis = at.length - 1; axis >= 0 && ++at[axis]! === axes[axis]!.size; axis--) {
      at[axis] = 0;
    }
  }
  return found;
}
