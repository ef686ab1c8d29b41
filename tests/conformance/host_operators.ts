/** The operators of `src/onnx/operators.ts` on the host in float64: plain loops, nothing shared with ours. */

/** Row-major float64 numbers. */
export interface HostTensor {
  /** Sizes, outermost first. */
  readonly dims: readonly number[];
  /** The numbers. */
  readonly data: Float64Array;
}

/** Elementwise over two shapes that broadcast. */
export function zip(
  a: HostTensor,
  b: HostTensor,
  combine: (a: number, b: number) => number,
): HostTensor {
  const rank = Math.max(a.dims.length, b.dims.length);
  const [left, right] = [a, b].map(({ dims }) => [...Array(rank - dims.length).fill(1), ...dims]);
  const dims = left!.map((size, i) => Math.max(size, right![i]!)); // both have `rank` sizes
  return fill(dims, (index) => combine(at(a, index), at(b, index)));
}

/** Elementwise. */
export function map({ dims, data }: HostTensor, change: (x: number) => number): HostTensor {
  return { dims, data: data.map(change) };
}

/** `x / (1 + e^−x)`. */
export function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}

/** *Source:* PyTorch, `gelu(approximate="tanh")`. */
export function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

/** *Source:* PyTorch, `gelu()`; the error function by its series, or as a continued fraction far from zero. */
export function gelu(x: number): number {
  return 0.5 * x * (1 + errorFunction(x / Math.SQRT2));
}

/** *Source:* OpenAI CLIP, `QuickGELU`. */
export function quickGelu(x: number): number {
  return x / (1 + Math.exp(-1.702 * x));
}

/** *Source:* Abramowitz & Stegun, 7.1.6 and 7.1.14. */
function errorFunction(z: number): number {
  if (Math.abs(z) > 3) {
    let fraction = 0;
    for (let k = 60; k > 0; k--) fraction = (k / 2) / (Math.abs(z) + fraction);
    return Math.sign(z) * (1 - Math.exp(-z * z) / Math.sqrt(Math.PI) / (Math.abs(z) + fraction));
  }
  let [term, total] = [z, z];
  for (let n = 1; n < 80; n++) {
    term *= 2 * z * z / (2 * n + 1);
    total += term;
  }
  return 2 / Math.sqrt(Math.PI) * Math.exp(-z * z) * total;
}

/** Rows of the last axis to mean 0 and variance 1. */
export function layerNorm(x: HostTensor, epsilon: number): HostTensor {
  const width = x.dims.at(-1)!;
  return mapRows(x, (row) => {
    const mean = sum(row) / width;
    const variance = sum(row.map((v) => (v - mean) ** 2)) / width;
    return row.map((v) => (v - mean) / Math.sqrt(variance + epsilon));
  });
}

/** Every head of the last axis to mean square 1, times its scale. */
export function rmsNormHeads(x: HostTensor, scale: HostTensor, epsilon: number): HostTensor {
  const size = scale.data.length;
  return mapRows(x, (row) =>
    row.map((v, i) => {
      const first = i - i % size;
      const square = sum(row.slice(first, first + size).map((u) => u * u)) / size;
      return v / Math.sqrt(square + epsilon) * scale.data[i % size]!;
    }));
}

/** Pairs of neighbours turned by the angle of their token, the same in every head. */
export function rotatePairs(x: HostTensor, cos: HostTensor, sin: HostTensor): HostTensor {
  const [, tokens, width] = x.dims as [number, number, number]; // rank 3
  const pairs = cos.dims[1]!;
  const data = x.data.map((value, i) => {
    const token = Math.floor(i / width) % tokens;
    const angle = token * pairs + Math.floor(i % width / 2) % pairs;
    const [c, s] = [cos.data[angle]!, sin.data[angle]!];
    return i % 2 === 0 ? value * c - x.data[i + 1]! * s : value * c + x.data[i - 1]! * s;
  });
  return { dims: x.dims, data };
}

/** `x·Wᵀ + b`. */
export function linear(x: HostTensor, weight: HostTensor, bias: HostTensor): HostTensor {
  const [out, width] = weight.dims as [number, number]; // rank 2
  const rows = mapRows(x, (row) =>
    Float64Array.from({ length: out }, (_, o) => {
      return sum(row.map((v, i) => v * weight.data[o * width + i]!)) + bias.data[o]!;
    }));
  return { dims: [...x.dims.slice(0, -1), out], data: rows.data };
}

/** Scaled dot-product attention of `heads` heads over `(N, T, D)`. */
export function attention(
  q: HostTensor,
  k: HostTensor,
  v: HostTensor,
  heads: number,
  { bias, scale = Math.sqrt(heads / q.dims[2]!) }: {
    readonly bias?: HostTensor;
    readonly scale?: number;
  } = {},
): HostTensor {
  const [n, queries, width] = q.dims as [number, number, number]; // rank 3
  const keys = k.dims[1]!;
  const size = width / heads;
  const result = { dims: q.dims, data: new Float64Array(n * queries * width) };
  for (let row = 0; row < n * heads * queries; row++) {
    const query = row % queries;
    const head = Math.floor(row / queries) % heads;
    const batch = Math.floor(row / queries / heads);
    const index = (t: number, i: number, count: number): number =>
      (batch * count + t) * width + head * size + i;
    const logits = Float64Array.from({ length: keys }, (_, key) => {
      let dot = 0;
      for (let i = 0; i < size; i++) {
        dot += q.data[index(query, i, queries)]! * k.data[index(key, i, keys)]!;
      }
      const each = bias && at(bias, [batch, bias.dims[1] === 1 ? 0 : head, query, key]);
      return dot * scale + (each ?? 0);
    });
    const shares = softmax(logits);
    for (let i = 0; i < size; i++) {
      const mixed = sum(shares.map((share, key) => share * v.data[index(key, i, keys)]!));
      result.data[index(query, i, queries)] = mixed;
    }
  }
  return result;
}

/** Axis i of the result is axis `order[i]`. */
export function transpose(x: HostTensor, order: readonly number[]): HostTensor {
  const dims = order.map((axis) => x.dims[axis]!);
  return fill(dims, (index) => at(x, order.map((_, axis) => index[order.indexOf(axis)]!)));
}

/** Rows `first … first + count − 1` of an axis. */
export function slice(
  x: HostTensor,
  { axis, first, count }: { readonly axis: number; readonly first: number; readonly count: number },
): HostTensor {
  const dims = x.dims.map((size, i) => (i === axis ? count : size));
  return fill(dims, (index) => at(x, index.map((i, a) => (a === axis ? first + i : i))));
}

/** Rows of a table. */
export function gatherRows(table: HostTensor, rows: HostTensor): HostTensor {
  const width = table.dims[1]!;
  return fill(
    [...rows.dims, width],
    (index) => at(table, [at(rows, index.slice(0, -1)), index.at(-1)!]),
  );
}

/** Joined along an axis. */
export function concat(parts: readonly HostTensor[], axis: number): HostTensor {
  const whole = parts.flatMap((part) =>
    Array.from({ length: part.dims[axis]! }, (_, i) => slice(part, { axis, first: i, count: 1 }))
  );
  const dims = parts[0]!.dims.map((size, i) => (i === axis ? whole.length : size));
  return fill(
    dims,
    (index) => at(whole[index[axis]!]!, index.map((i, a) => (a === axis ? 0 : i))),
  );
}

function softmax(logits: Float64Array): Float64Array {
  const most = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - most));
  const total = sum(powers);
  return powers.map((power) => power / total);
}

function sum(numbers: Float64Array): number {
  return numbers.reduce((total, value) => total + value, 0);
}

/** Changes each row of the last axis. */
function mapRows(x: HostTensor, change: (row: Float64Array) => Float64Array): HostTensor {
  const width = x.dims.at(-1)!;
  const rows = Array.from(
    { length: x.data.length / width },
    (_, row) => [...change(x.data.slice(row * width, (row + 1) * width))],
  );
  return { dims: x.dims, data: Float64Array.from(rows.flat()) };
}

/** The number at an index; sizes of 1 are stretched, leading axes may be missing. */
function at({ dims, data }: HostTensor, index: readonly number[]): number {
  const own = index.slice(-dims.length);
  return data[dims.reduce((flat, size, i) => flat * size + (size === 1 ? 0 : own[i]!), 0)]!;
}

function fill(
  dims: readonly number[],
  number: (index: readonly number[]) => number,
): HostTensor {
  const count = dims.reduce((product, size) => product * size, 1);
  const data = Float64Array.from({ length: count }, (_, flat) => {
    let rest = flat;
    const index = dims.toReversed().map((size) => {
      const i = rest % size;
      rest = Math.floor(rest / size);
      return i;
    });
    return number(index.toReversed());
  });
  return { dims, data };
}
