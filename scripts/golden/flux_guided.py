"""Makes or checks tests/golden/flux-a/guided.safetensors: diffusers' own FluxPipeline with true guidance
(`true_cfg_scale`), on the model, noise and texts of flux-a.

    python3 scripts/golden/flux_guided.py make    writes the file anew
    python3 scripts/golden/flux_guided.py check   recomputes what is stored, within 1e-4 of the largest number

Made with diffusers 0.42.1, torch 2.13.0 (CPU), safetensors 0.8.
"""

import sys

import torch
from compare import GOLDEN, Report, load, read_json
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline
from flux import open_model
from safetensors.torch import save_file

FILE = GOLDEN / "flux-a/guided.safetensors"
SCALE = 2.5
PIXELS = 16  # a side of a token: two latents of eight pixels
POSITIVE, NEGATIVE = [0, 1], [2, 0]  # rows of the texts


def pipeline() -> FluxPipeline:
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(GOLDEN / "flux-a")
    parts = dict.fromkeys(("vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"))
    pipe = FluxPipeline(scheduler=scheduler, transformer=open_model("flux-a"), **parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@torch.no_grad()
def sample(negative: list[int]) -> torch.Tensor:
    """Latents of the first two noises, led away from texts of these rows."""
    golden, facts = load("flux-a/golden.safetensors"), read_json("flux-a/golden.json")
    rows, columns = facts["grid"]
    text, pooled = golden["text"], golden["pooled"]
    return pipeline()(
        prompt_embeds=text[POSITIVE], pooled_prompt_embeds=pooled[POSITIVE],
        negative_prompt_embeds=text[negative], negative_pooled_prompt_embeds=pooled[negative],
        true_cfg_scale=SCALE, guidance_scale=facts["guidance"], num_inference_steps=facts["steps"],
        height=rows * PIXELS, width=columns * PIXELS, latents=golden["noise"][:2], output_type="latent",
    ).images


def results() -> dict[str, torch.Tensor]:
    return {"sample.each": sample(NEGATIVE), "sample.one": sample(NEGATIVE[:1] * 2)}


if __name__ == "__main__":
    mode = sys.argv[1] if len(sys.argv) == 2 else ""
    if mode == "make":
        save_file(results(), FILE)
    elif mode == "check":
        report, stored = Report(), load(FILE)
        for name, found in results().items():
            report.add(f"flux-a {name}", found, stored[name])
        report.exit()
    else:
        sys.exit("usage: flux_guided.py make|check")
