/** The operators of `src/onnx/convolution.ts` on the host in float64: plain loops, nothing shared with ours. */
import type { HostTensor } from "./host_operators.ts";

/** Sums over windows, with zeros around; of every second window with zeros to the right and below. */
export function convolution(
  x: HostTensor,
  [weight, bias]: readonly [HostTensor, HostTensor],
  stride = 1,
): HostTensor {
  const [n, channels, height, width] = x.dims as [number, number, number, number]; // rank 4
  const [out, , kernel] = weight.dims as [number, number, number]; // rank 4
  const pad = stride === 1 ? (kernel - 1) / 2 : 0;
  const [down, across] = [height / stride, width / stride];
  const result = { dims: [n, out, down, across], data: new Float64Array(n * out * down * across) };
  return mapPixels(result, ([row, o, v, u]) => {
    let sum = bias.data[o]!;
    for (let c = 0; c < channels; c++) {
      for (let j = 0; j < kernel; j++) {
        for (let i = 0; i < kernel; i++) {
          const [y, xs] = [v * stride + j - pad, u * stride + i - pad];
          if (y < 0 || xs < 0 || y >= height || xs >= width) continue;
          const pixel = x.data[((row * channels + c) * height + y) * width + xs]!;
          sum += pixel * weight.data[((o * channels + c) * kernel + j) * kernel + i]!;
        }
      }
    }
    return sum;
  });
}

/** Every pixel four times. */
export function upsampleNearest({ dims, data }: HostTensor): HostTensor {
  const [n, c, height, width] = dims as [number, number, number, number]; // rank 4
  const large = { dims: [n, c, 2 * height, 2 * width], data: new Float64Array(4 * data.length) };
  return mapPixels(large, ([row, channel, y, x]) => {
    const plane = (row * c + channel) * height * width;
    return data[plane + Math.floor(y / 2) * width + Math.floor(x / 2)]!;
  });
}

/** Mean and variance of each group, `(2, groups, 1)`, of a batch of 1. */
export function groupStatistics({ data }: HostTensor, groups: number): HostTensor {
  const size = data.length / groups;
  const moments = Array.from({ length: groups }, (_, group) => {
    const numbers = data.slice(group * size, (group + 1) * size);
    const mean = numbers.reduce((sum, v) => sum + v, 0) / size;
    return [mean, numbers.reduce((sum, v) => sum + (v - mean) ** 2, 0) / size] as const;
  });
  const data2 = [0, 1].flatMap((i) => moments.map((pair) => pair[i]!)); // pairs
  return { dims: [2, groups, 1], data: Float64Array.from(data2) };
}

/** Normalised by statistics, each row of the batch by its own unless they are given. */
export function groupNorm(
  x: HostTensor,
  [weight, bias]: readonly [HostTensor, HostTensor],
  { groups, epsilon, given }: {
    readonly groups: number;
    readonly epsilon: number;
    readonly given?: HostTensor;
  },
): HostTensor {
  const [n, channels] = x.dims as [number, number]; // rank 4
  const size = x.data.length / n;
  const rows = Array.from({ length: n }, (_, row) => {
    const dims = [1, ...x.dims.slice(1)];
    return groupStatistics({ dims, data: x.data.slice(row * size, (row + 1) * size) }, groups);
  });
  return mapPixels(x, ([row, channel], i) => {
    const { data } = given ?? rows[row]!; // one for each row
    const group = Math.floor(channel * groups / channels);
    const normed = (x.data[i]! - data[group]!) / Math.sqrt(data[groups + group]! + epsilon);
    return normed * weight.data[channel]! + bias.data[channel]!;
  });
}

function mapPixels(
  { dims, data }: HostTensor,
  number: (index: readonly [number, number, number, number], i: number) => number,
): HostTensor {
  const [, channels, height, width] = dims as [number, number, number, number]; // rank 4
  const changed = data.map((_, i) => {
    const plane = Math.floor(i / width / height);
    const index = [Math.floor(plane / channels), plane % channels] as const;
    return number([...index, Math.floor(i / width) % height, i % width], i);
  });
  return { dims, data: changed };
}
