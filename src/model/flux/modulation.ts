/**
 * The modulation layers of FLUX and which modules their vectors are for.
 *
 * @module
 */

import { modulationGroup, type ModulationLayer } from "../blocks/modulation.ts";
import { type FluxConfig, fluxWidth } from "./config.ts";
import { contextPart } from "./dual.ts";
import { HEAD, type ModulationGroup, type ModulationPart } from "../module_graph.ts";

/** One group for each layer: at the published width one layer has up to 227 MB of weights. */
export function modulationGroups(config: FluxConfig): ModulationGroup[] {
  return modulationLayers(config).map((layer) => modulationGroup([layer], fluxWidth(config)));
}

function modulationLayers({ numLayers, numSingleLayers }: FluxConfig): readonly ModulationLayer[] {
  const dual = Array.from({ length: numLayers }, (_, block) => dualLayers(block)).flat();
  const single = Array.from({ length: numSingleLayers }, (_, block) => {
    const prefix = `single_transformer_blocks.${block}`;
    return { weights: `${prefix}.norm.linear`, parts: [{ name: prefix, rows: 3 }] };
  });
  return [...dual, ...single, { weights: "norm_out.linear", parts: [{ name: HEAD, rows: 2 }] }];
}

function dualLayers(block: number): readonly ModulationLayer[] {
  const prefix = `transformer_blocks.${block}`;
  const attention = `${prefix}.attn`;
  const parts = (attn: string, mlp: string): readonly ModulationPart[] => [
    { name: attn, rows: 3 },
    { name: `${prefix}.${mlp}`, rows: 3 },
  ];
  return [
    { weights: `${prefix}.norm1.linear`, parts: parts(attention, "ff") },
    {
      weights: `${prefix}.norm1_context.linear`,
      parts: parts(contextPart(attention), "context_ff"),
    },
  ];
}
