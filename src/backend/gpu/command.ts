/**
 * What a WebGPU device can be asked to do, with all that it takes to ask again.
 */

/** What is known of a shader. */
export interface Shader {
  /** As the runtime calls it, such as `Mul`. */
  readonly name: string;
  /** Its WGSL. */
  readonly code: string;
  /** Its variables in buffers, by `group binding`. */
  readonly variables: ReadonlyMap<string, Variable>;
}

/** A variable of a shader that lies in a buffer. */
export interface Variable {
  readonly name: string;
  /** Whether the shader may write to it. */
  readonly written: boolean;
}

/** One dispatch, with everything that it reads and writes. */
export interface Dispatch {
  readonly kind: "dispatch";
  readonly pipeline: GPUComputePipeline;
  readonly shader: Shader;
  /** By group index. */
  readonly groups: readonly BindGroupFacts[];
  readonly workgroups: readonly [x: number, y: number, z: number];
}

/** One copy from buffer to buffer. */
export interface Copy {
  readonly kind: "copy";
  readonly source: GPUBuffer;
  readonly sourceOffset: number;
  readonly target: GPUBuffer;
  readonly targetOffset: number;
  readonly size: number;
}

/** Zeros written to a part of a buffer. */
export interface Clear {
  readonly kind: "clear";
  readonly target: GPUBuffer;
  readonly targetOffset: number;
  readonly size: number;
}

export type Command = Dispatch | Copy | Clear;

export interface BindGroupFacts {
  readonly layout: GPUBindGroupLayout;
  readonly bindings: readonly BindingFacts[];
}

/** A buffer as a shader sees it. */
export interface BindingFacts {
  readonly binding: number;
  /** Of the shader's variable. */
  readonly name: string;
  readonly buffer: GPUBuffer;
  readonly offset: number;
  /** Absent = to its end. */
  readonly size: number | undefined;
  /** What the host wrote to it for this dispatch: uniforms. */
  readonly content: Uint8Array<ArrayBuffer> | undefined;
  /** Whether the shader may write to it. */
  readonly written: boolean;
}
