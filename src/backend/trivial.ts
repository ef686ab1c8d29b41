/**
 * The first session of a process, with which a runtime makes its memory, threads and device.
 */

import type { InferenceSession } from "npm:onnxruntime-common@1.30.0";
import { BackendError } from "../errors.ts";
import { GraphBuilder } from "../onnx/graph.ts";
import { encodeModel } from "../onnx/model_proto.ts";
import { add } from "../onnx/operators.ts";
import type { BackendName } from "./backend.ts";
import { type OrtModule, reason } from "./ort_provider.ts";

/**
 * Loads a trivial graph.
 *
 * @throws {BackendError} When the runtime does not start, for example without permission to read itself.
 */
export async function loadTrivial(
  ort: OrtModule,
  provider: BackendName,
  executionProvider: InferenceSession.ExecutionProviderConfig = provider,
): Promise<InferenceSession> {
  const graph = new GraphBuilder("trivial");
  const x = graph.input("x", [1]);
  graph.output("y", add(graph, x, x));
  try {
    const { bytes } = encodeModel(graph);
    return await ort.InferenceSession.create(bytes, {
      executionProviders: [executionProvider],
    });
  } catch (cause) {
    throw new BackendError(
      `Cannot open ${provider}: its runtime does not start: ${reason(cause)}`,
      {
        cause,
      },
    );
  }
}
