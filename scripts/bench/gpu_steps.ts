/**
 * What steps of a model take on WebGPU, by kind of step: calls of WebGPU and milliseconds to completion. It knows the
 * library only by its public names, so that it measures other checkouts too, in Deno and in a browser.
 */
import type { GenerateOptions, openPipeline, Pipeline, PipelineOptions, Plan } from "../../mod.ts";
import { countGpuCalls, difference, type GpuCalls } from "./gpu_calls.ts";
import { PassClock } from "./gpu_clock.ts";
import { KernelLog, type StepKernels } from "./gpu_kernels.ts";

/** The names that are used of a checkout's `mod.ts`. */
export interface Library {
  readonly openPipeline: typeof openPipeline;
  readonly parsePlan: (json: string) => Plan;
}

export interface Subject {
  /** Options of `openPipeline()`, the backend apart. */
  readonly open: PipelineOptions & Required<Pick<PipelineOptions, "model">>;
  /** Options of every run: conditions. */
  readonly generate: GenerateOptions;
}

/** A kind of step, by the plan that has it: rows as a plan's file has them. */
export interface StepRows {
  readonly name: string;
  /** Rows before the step, and the step's. */
  readonly before: readonly string[];
  readonly row: string;
}

export interface StepCosts {
  readonly name: string;
  readonly calls: GpuCalls;
  /** Milliseconds of a step, to its completion. */
  readonly ms: number;
}

/** A model on WebGPU whose steps are measured. */
export class StepMeter {
  readonly #read = countGpuCalls();

  private constructor(
    readonly library: Library,
    readonly pipeline: Pipeline,
    readonly generate: GenerateOptions,
    readonly log?: KernelLog,
  ) {}

  static async open(
    library: Library,
    { open, generate }: Subject,
    mode?: string,
  ): Promise<StepMeter> {
    const log = mode === "kernels" ? new KernelLog() : undefined; // before any shader is made
    const pipeline = await library.openPipeline({ ...open, backend: "webgpu" });
    const meter = new StepMeter(library, pipeline, generate, log);
    if (mode === "plain") meter.refuseReplay();
    return meter;
  }

  /** Lets every step be run by the runtime, where the checkout would replay it. */
  refuseReplay(): void {
    if (this.#gpu !== undefined) {
      this.#gpu.recorder.record = () => Promise.reject(new Error("the bench wants none"));
    }
  }

  /** The GPU of the engine behind the interface; absent in earlier checkouts. */
  get #gpu(): { readonly device: GPUDevice; readonly recorder: { record: unknown } } | undefined {
    const { backend } = this.pipeline as unknown as {
      readonly backend: {
        readonly gpu?: { readonly device: GPUDevice; readonly recorder: { record: unknown } };
      };
    };
    return backend.gpu;
  }

  /** The calls of one step of a kind: those by which a run with one more of them differs, when nothing is new any more. */
  async calls(kind: StepRows): Promise<GpuCalls> {
    const [short, long] = [4, 5].map((count) => this.#plan(kind, count));
    for (const plan of [short!, long!, short!, long!]) await this.#run(plan);
    return difference(await this.#callsOf(long!), await this.#callsOf(short!));
  }

  /** Milliseconds of a step of a kind: the mean of so many. */
  async milliseconds(kind: StepRows, count: number): Promise<number> {
    const plan = this.#plan(kind, count);
    return 1000 * (await this.#run(plan)).slice(-count).reduce((sum, s) => sum + s, 0) / count;
  }

  /** Milliseconds in which the GPU computes a step of a kind, where it measures that and the checkout shows its device. */
  async gpuMilliseconds(kind: StepRows, count: number): Promise<number | undefined> {
    const { device } = this.#gpu ?? {};
    this.#clock ??= device && PassClock.of(device);
    if (this.#clock === undefined) return undefined;
    const [short, long] = [await this.#plan(kind, 4), await this.#plan(kind, 4 + count)];
    const clock = this.#clock;
    const measure = (plan: Plan): Promise<number> =>
      clock.measure(() => this.#run(Promise.resolve(plan)));
    await measure(long); // warms
    const before = await measure(short);
    return (await measure(long) - before) / count;
  }

  /** What the dispatches of a step cost, by shader; `undefined` where the checkout does not show its device. */
  async kernels(kind: StepRows): Promise<StepKernels | undefined> {
    const { device } = this.#gpu ?? {};
    if (device === undefined || this.log === undefined) return undefined;
    const plan = this.#plan(kind, 4);
    for (let run = 0; run < 2; run++) await this.#run(plan);
    return await this.log.costs(device);
  }

  /** Milliseconds of the loop of a run. */
  async loop(rows: readonly string[]): Promise<number> {
    return 1000 * (await this.#run(this.#planOf(rows))).reduce((sum, seconds) => sum + seconds, 0);
  }

  async close(): Promise<void> {
    await this.pipeline.close();
  }

  async #callsOf(plan: Promise<Plan>): Promise<GpuCalls> {
    const before = this.#read();
    await this.#run(plan);
    return difference(this.#read(), before);
  }

  /** Runs a plan. Returns the seconds of each step. */
  async #run(plan: Promise<Plan>): Promise<number[]> {
    const seconds: number[] = [];
    const steps = this.pipeline.steps({
      ...this.generate,
      plan: await plan,
      output: "latents",
      readBack: false,
    });
    for await (const step of steps) seconds.push(step.seconds);
    return seconds;
  }

  #plan({ before, row }: StepRows, count: number): Promise<Plan> {
    return this.#planOf([...before, ...Array.from({ length: count }, () => row)]);
  }

  /** A plan of these rows for this model; its times are the sampler's. */
  async #planOf(rows: readonly string[]): Promise<Plan> {
    const { modules, architecture, sampler, times } = await this.#facts(rows.length);
    const forecast = rows.map((row) => row === FORECAST ? [0, 1] : null);
    const columns = rows.includes(FORECAST) ? { forecast } : undefined;
    return this.library.parsePlan(JSON.stringify({
      version: columns === undefined ? 1 : 2,
      architecture,
      fingerprints: [await this.pipeline.model.fingerprint()],
      sampler: { name: sampler, times },
      modules,
      slots: ["joint"],
      ...{ rows, columns },
      context: {},
      policy: { name: "hand", parameters: {} },
    }));
  }

  async #facts(
    steps: number,
  ): Promise<
    { modules: readonly string[]; architecture: string; sampler: string; times: number[] }
  > {
    const known = this.#times.get(steps);
    const model = this.pipeline.model as unknown as {
      readonly architecture?: string; // where earlier commits had it
      readonly transformer: {
        readonly architecture?: string;
        readonly modules: readonly { readonly name: string }[];
      };
      readonly sampler: { readonly name: string };
    }; // the model behind the public facts
    const { transformer: { modules, architecture = model.architecture! } } = model;
    const times = known ?? [];
    if (known === undefined) {
      const run = this.pipeline.steps({ ...this.generate, steps, output: "latents" });
      for await (const { time } of run) times.push(time);
      this.#times.set(steps, times);
    }
    const names = modules.map(({ name }) => name);
    return { modules: names, architecture, sampler: model.sampler.name, times };
  }

  readonly #times = new Map<number, number[]>();
  #clock: PassClock | undefined;
}

const FORECAST = "~";

/** A step that calls no model, where noise is predicted; checkouts before version 2 of plans have none. */
export function forecastKind(modules: number): StepRows {
  return { name: "forecast", before: [".".repeat(modules)], row: FORECAST };
}

/** The kinds of steps of a model with so many modules. */
export function stepKinds(modules: number): readonly StepRows[] {
  const full = ".".repeat(modules);
  const half = full.replaceAll("..", ".r");
  return [
    { name: "full", before: [full], row: full },
    { name: "half reused", before: [full], row: half },
    { name: "all reused", before: [full], row: "r".repeat(modules) },
    { name: "hidden state", before: [full], row: "=" },
    { name: "residual", before: [full], row: "+" },
  ];
}
