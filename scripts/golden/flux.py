"""Recomputes the goldens of FLUX from their stored inputs, within 1e-4 of the largest number; 1 on a miss.

    pip install torch==2.13.0 diffusers==0.42.1 transformers numpy
    python3 scripts/golden/flux.py

Model and scheduler are diffusers' own. The weights under the original's names (black-forest-labs/flux) are renamed.
"""

import re
from collections.abc import Callable

import torch
from compare import GOLDEN, Report, load, read_json
from diffusers import FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel
from invardiff import FLUX as RULE
from invardiff import Parts, check_book, recorded
from torch import Tensor

EMBEDDERS = {
    "img_in": "x_embedder", "txt_in": "context_embedder", "final_layer.linear": "proj_out",
    "final_layer.adaLN_modulation.1": "norm_out.linear",
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
}
DUAL = {
    "img_mod.lin": "norm1.linear", "txt_mod.lin": "norm1_context.linear",
    "img_attn.qkv": "attn.to_q attn.to_k attn.to_v", "txt_attn.qkv": "attn.add_q_proj attn.add_k_proj attn.add_v_proj",
    "img_attn.norm.query_norm": "attn.norm_q", "img_attn.norm.key_norm": "attn.norm_k",
    "txt_attn.norm.query_norm": "attn.norm_added_q", "txt_attn.norm.key_norm": "attn.norm_added_k",
    "img_attn.proj": "attn.to_out.0", "txt_attn.proj": "attn.to_add_out",
    "img_mlp.0": "ff.net.0.proj", "img_mlp.2": "ff.net.2",
    "txt_mlp.0": "ff_context.net.0.proj", "txt_mlp.2": "ff_context.net.2",
}
SINGLE = {
    "modulation.lin": "norm.linear", "linear1": "attn.to_q attn.to_k attn.to_v proj_mlp", "linear2": "proj_out",
    "norm.query_norm": "attn.norm_q", "norm.key_norm": "attn.norm_k",
}
BLOCKS = {"double_blocks": ("transformer_blocks", DUAL), "single_blocks": ("single_transformer_blocks", SINGLE)}


def renamed(weights: dict[str, Tensor], width: int) -> dict[str, Tensor]:
    """The original's names to diffusers': fused rows are split, the two halves of the last modulation swapped."""
    found = {}
    for name, weight in weights.items():
        stem, kind = name.rsplit(".", 1)
        prefix, table = "", EMBEDDERS
        if match := re.fullmatch(r"(\w+_blocks)\.(\d+)\.(.+)", stem):
            blocks, table = BLOCKS[match[1]]
            prefix, stem = f"{blocks}.{match[2]}.", match[3]
        if stem == "final_layer.adaLN_modulation.1":
            weight = torch.cat(weight.chunk(2)[::-1])
        targets = table[stem].split()
        sizes = [width] * (len(targets) - 1)
        for target, part in zip(targets, weight.split([*sizes, len(weight) - sum(sizes)]), strict=True):
            found[f"{prefix}{target}.{'weight' if kind == 'scale' else kind}"] = part
    return found


def open_model(name: str) -> FluxTransformer2DModel:
    config = {key: value for key, value in read_json(f"{name}/config.json").items() if key[0] != "_"}
    model = FluxTransformer2DModel(**config).eval()
    if name == "flux-a":
        weights = load(f"{name}/diffusion_pytorch_model.safetensors")
    else:
        weights = renamed(load(f"{name}/flux.safetensors"), model.inner_dim)
    model.load_state_dict(weights)
    return model


def schedule() -> FlowMatchEulerDiscreteScheduler:
    facts = read_json("flux-a/golden.json")
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(GOLDEN / "flux-a")
    scheduler.set_timesteps(sigmas=torch.linspace(1, 1 / facts["steps"], facts["steps"]).tolist(), mu=facts["mu"])
    return scheduler


Predict = Callable[[Tensor, Tensor], Tensor]  # packed latents, time of 0 … 1 → velocity


def predictor(model: FluxTransformer2DModel, golden: dict[str, Tensor], rows: slice) -> Predict:
    """The model under these rows of the conditions."""
    text = golden["text"][rows]
    guidance = torch.full([len(text)], read_json("flux-a/golden.json")["guidance"])
    given = {"encoder_hidden_states": text, "pooled_projections": golden["pooled"][rows], "guidance": guidance,
             "img_ids": golden["image_ids"], "txt_ids": torch.zeros(text.shape[1], 3)}
    return lambda x, t: model(hidden_states=x, timestep=t.expand(len(x)), **given).sample


def sample(model: FluxTransformer2DModel, golden: dict[str, Tensor], rows: slice) -> Tensor:
    scheduler, predict, x = schedule(), predictor(model, golden, rows), golden["noise"][rows]
    for t in scheduler.timesteps:
        x = scheduler.step(predict(x, t / 1000), t, x).prev_sample
    return x


def parts_of(model: FluxTransformer2DModel) -> Parts:
    """What a single block keeps of its MLP lies before the projection that it shares with attention."""
    modules = []
    for column, block in enumerate(model.transformer_blocks):
        modules += [(("attn", "context_attn"), column, block.attn), (("ff",), column, block.ff),
                    (("context_ff",), column, block.ff_context)]
    for column, block in enumerate(model.single_transformer_blocks):
        modules += [(("single_attn",), column, block.attn), (("single_mlp",), column, block.act_mlp)]
    return Parts(model.norm_out, modules)


def check_model(name: str, golden: dict[str, Tensor], report: Report) -> FluxTransformer2DModel:
    model, two = open_model(name), slice(0, 2)
    output = predictor(model, golden, two)(golden["noise"][two], golden["forward.timestep"])
    report.add(f"{name} forward.output", output, golden["forward.output"])
    report.add(f"{name} sample.full", sample(model, golden, two), golden["sample.full"])
    return model


@torch.no_grad()
def main() -> None:
    report, golden = Report(), load("flux-a/golden.safetensors")
    scheduler = schedule()
    report.add("flux-a sigmas", scheduler.sigmas, golden["sigmas"])
    report.add("flux-a timesteps", scheduler.timesteps, golden["timesteps"])
    check_model("flux-a-bfl", golden, report)
    model = check_model("flux-a", golden, report)
    parts, runs = parts_of(model), []
    for row in range(len(golden["noise"])):
        with recorded(parts) as features:
            sample(model, golden, slice(row, row + 1))
        runs.append(features)

    def draw() -> Tensor:
        return sample(model, golden, slice(0, 2))

    for book in ("flux-a-published", "flux-a-layers"):
        check_book(book, parts, variant=RULE, runs=runs, sample=draw, report=report)
    report.exit()


if __name__ == "__main__":
    main()
