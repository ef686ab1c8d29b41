/**
 * Counters, gauges and histograms in Prometheus' text format.
 *
 * `prom-client` needs Node's cluster and perf_hooks, which edge workers lack; what is used of it are these lines.
 *
 * *Source:* Prometheus, "Exposition formats", version 0.0.4.
 */

/** Names and values of a series. */
export type Labels = Readonly<Record<string, string>>;

/** What only grows. */
export interface Counter {
  /** Grows by `by`, 1 unless given. */
  add(labels?: Labels, by?: number): void;
}

/** How observed numbers are spread. */
export interface Histogram {
  observe(value: number, labels?: Labels): void;
}

/** Media type of the format. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Suffix of the name, labels and value of a line. */
type Line = readonly [string, Labels, number];

export class MetricRegistry {
  readonly #metrics: (() => Promise<string>)[] = [];

  /** Makes a counter; its name ends in `_total`. */
  counter(name: string, help: string): Counter {
    const series = new Series(() => ({ sum: 0 }));
    this.#add(`${name} ${help}`, "counter", () => series.lines(({ sum }) => [["", {}, sum]]));
    return { add: (labels = {}, by = 1) => void (series.at(labels).sum += by) };
  }

  /** Makes a gauge that is read whenever the metrics are written. */
  gauge(
    name: string,
    help: string,
    read: () => number | Promise<number>,
    labels: Labels = {},
  ): void {
    this.#add(`${name} ${help}`, "gauge", async () => [["", labels, await read()]]);
  }

  /** Makes a gauge of several series, which are read whenever the metrics are written. */
  gauges(
    name: string,
    help: string,
    read: () => Promise<readonly (readonly [Labels, number])[]>,
  ): void {
    this.#add(`${name} ${help}`, "gauge", async () => {
      return (await read()).map(([labels, value]): Line => ["", labels, value]);
    });
  }

  /** Makes a histogram with these upper bounds, ascending. */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const all = [...bounds, Infinity];
    const series = new Series(() => ({ counts: all.map(() => 0), sum: 0 }));
    this.#add(`${name} ${help}`, "histogram", () =>
      series.lines(({ counts, sum }) => [
        ...counts.map((count, i): Line => ["_bucket", { le: boundText(all[i]!) }, count]),
        ["_sum", {}, sum],
        ["_count", {}, counts.at(-1)!], // of the bound that all are within
      ]));
    return {
      observe(value, labels = {}): void {
        const spread = series.at(labels);
        spread.counts = spread.counts.map((count, i) => value <= all[i]! ? count + 1 : count);
        spread.sum += value;
      },
    };
  }

  async expose(): Promise<string> {
    return (await Promise.all(this.#metrics.map((write) => write()))).join("");
  }

  #add(title: string, type: string, lines: () => readonly Line[] | Promise<readonly Line[]>): void {
    const [name = ""] = title.split(" ");
    this.#metrics.push(async () => {
      const values = (await lines()).map(([suffix, labels, value]) =>
        `${name}${suffix}${braces(labels)} ${value}\n`
      );
      return `# HELP ${title}\n# TYPE ${name} ${type}\n${values.join("")}`;
    });
  }
}

/** Values by labels. */
class Series<T> {
  readonly #values = new Map<string, { readonly labels: Labels; readonly value: T }>();

  constructor(readonly make: () => T) {}

  at(labels: Labels): T {
    const found = this.#values.get(braces(labels)) ?? { labels, value: this.make() };
    this.#values.set(braces(labels), found);
    return found.value;
  }

  lines(of: (value: T) => readonly Line[]): readonly Line[] {
    return [...this.#values.values()].flatMap(({ labels, value }) =>
      of(value).map(([suffix, own, number]): Line => [suffix, { ...labels, ...own }, number])
    );
  }
}

function boundText(bound: number): string {
  return bound === Infinity ? "+Inf" : `${bound}`;
}

function braces(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escape(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
