/**
 * Counters, gauges and histograms in Prometheus' text format.
 *
 * `prom-client` needs Node's cluster and perf_hooks, which edge workers lack.
 *
 * *Source:* Prometheus, "Exposition formats", version 0.0.4.
 *
 * @module
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
  /** Counts a number. */
  observe(value: number, labels?: Labels): void;
}

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** Suffix, labels and value of each line. */
  lines(): MaybePromise<readonly (readonly [string, Labels, number])[]>;
}

type MaybePromise<T> = T | Promise<T>;

/** The metrics of one server. */
export class MetricRegistry {
  readonly #metrics: Metric[] = [];

  /** Makes a counter; its name ends in `_total`. */
  counter(name: string, help: string): Counter {
    const series = new Series<number>();
    this.#metrics.push({ name, help, type: "counter", lines: () => series.lines(single) });
    return { add: (labels = {}, by = 1) => series.set(labels, (series.get(labels) ?? 0) + by) };
  }

  /** Makes a gauge that is read when it is asked for. */
  gauge(name: string, help: string, read: () => MaybePromise<number>): void {
    const lines = async () => [["", {}, await read()]] as const;
    this.#metrics.push({ name, help, type: "gauge", lines });
  }

  /** Makes a histogram with these upper bounds, ascending. */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const series = new Series<Spread>();
    this.#metrics.push({ name, help, type: "histogram", lines: () => series.lines(spreadLines) });
    return {
      observe(value, labels = {}): void {
        const spread = series.get(labels) ??
          { bounds, counts: bounds.map(() => 0), sum: 0, count: 0 };
        spread.counts.forEach((count, i) => {
          if (value <= bounds[i]!) spread.counts[i] = count + 1; // as many as bounds
        });
        series.set(labels, { ...spread, sum: spread.sum + value, count: spread.count + 1 });
      },
    };
  }

  /** Everything as text. */
  async expose(): Promise<string> {
    const texts = await Promise.all(this.#metrics.map(async ({ name, help, type, lines }) => {
      const head = `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
      const values = (await lines()).map(([suffix, labels, value]) =>
        `${name}${suffix}${braces(labels)} ${value}\n`
      );
      return head + values.join("");
    }));
    return texts.join("");
  }
}

interface Spread {
  readonly bounds: readonly number[];
  readonly counts: number[];
  readonly sum: number;
  readonly count: number;
}

/** Values by labels. */
class Series<T> {
  readonly #values = new Map<string, { readonly labels: Labels; readonly value: T }>();

  get(labels: Labels): T | undefined {
    return this.#values.get(braces(labels))?.value;
  }

  set(labels: Labels, value: T): void {
    this.#values.set(braces(labels), { labels, value });
  }

  lines(
    of: (labels: Labels, value: T) => readonly (readonly [string, Labels, number])[],
  ): readonly (readonly [string, Labels, number])[] {
    return [...this.#values.values()].flatMap(({ labels, value }) => of(labels, value));
  }
}

function single(labels: Labels, value: number): readonly (readonly [string, Labels, number])[] {
  return [["", labels, value]];
}

function spreadLines(
  labels: Labels,
  { bounds, counts, sum, count }: Spread,
): readonly (readonly [string, Labels, number])[] {
  return [
    ...bounds.map((le, i) => ["_bucket", { ...labels, le: `${le}` }, counts[i]!] as const),
    ["_bucket", { ...labels, le: "+Inf" }, count],
    ["_sum", labels, sum],
    ["_count", labels, count],
  ];
}

function braces(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escape(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
