"""Makes or checks tests/golden/flux-edits: diffusers' FluxImg2ImgPipeline and FluxInpaintPipeline on a drawing and a
mask of tests/golden/pictures, cropped and resized as ours are.

    python3 scripts/golden/flux_edits.py make|check                    flux-a, with the autoencoder of dit-a-diffusers
    python3 scripts/golden/flux_edits.py make|check NAME DIRECTORY     a pipeline's directory with its own golden/

The pipelines draw a picture's latents from their distribution; here, as in ours, they are its mode. Noise is given:
that of the goldens, of which it takes the first two rows.

Made with diffusers 0.42.1, torch 2.13.0 (CPU), Pillow 13.0.0.
"""

import json
import sys
from pathlib import Path

import torch
from compare import GOLDEN, Report, load, read_json
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxImg2ImgPipeline, FluxInpaintPipeline
from diffusers import FluxTransformer2DModel
from diffusers.pipelines.flux import pipeline_flux_img2img, pipeline_flux_inpaint
from flux import open_model
from PIL import Image
from safetensors.torch import load_file, save_file

STEPS = 28
STRENGTHS = (0.6, 1.0)


def patch(noise: torch.Tensor) -> None:
    """Lets the pipelines take this noise, as planes, and the mode of a picture's latents."""
    for module in (pipeline_flux_img2img, pipeline_flux_inpaint):
        module.randn_tensor = lambda *_, **__: noise
        module.retrieve_latents = lambda encoded, **_: encoded.latent_dist.mode()


def fitted(name: str, width: int, height: int) -> Image.Image:
    """The largest part around the centre, resized; by Pillow."""
    picture = Image.open(GOLDEN / "pictures" / name)
    w, h = picture.size
    across, down = min(w, round(h * width / height)), min(h, round(w * height / width))
    left, top = (w - across) // 2, (h - down) // 2
    return picture.crop((left, top, left + across, top + down)).resize((width, height), Image.LANCZOS)


@torch.no_grad()
def results(parts: dict, inputs: dict[str, torch.Tensor], grid: list[int], guidance: float) -> dict[str, torch.Tensor]:
    rows, columns = grid
    scale = 2 ** (len(parts["vae"].config.block_out_channels) - 1)
    size = {"width": 2 * scale * columns, "height": 2 * scale * rows}
    packed = inputs["noise"][:2]
    patch(FluxImg2ImgPipeline._unpack_latents(packed, size["height"], size["width"], scale))
    texts = dict.fromkeys(("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"))
    edit, paint = (kind(**parts, **texts) for kind in (FluxImg2ImgPipeline, FluxInpaintPipeline))
    call = {
        **size, "image": fitted("source.png", **size), "num_inference_steps": STEPS, "guidance_scale": guidance,
        "prompt_embeds": inputs["text"][:2], "pooled_prompt_embeds": inputs["pooled"][:2], "output_type": "latent",
    }
    mask = fitted("mask.png", **size)
    found = {}
    for strength in STRENGTHS:
        found[f"edit.{strength}"] = edit(**call, strength=strength).images
        found[f"paint.{strength}"] = paint(**call, strength=strength, mask_image=mask).images
    return found


def small() -> tuple[dict, dict[str, torch.Tensor], list[int], float]:
    vae = AutoencoderKL.from_pretrained(GOLDEN / "dit-a-diffusers/vae", torch_dtype=torch.float32).eval()
    vae.register_to_config(shift_factor=0.0)  # these pipelines take none for a number
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(GOLDEN / "flux-a")
    facts = read_json("flux-a/golden.json")
    parts = {"vae": vae, "scheduler": scheduler, "transformer": open_model("flux-a")}
    return parts, load("flux-a/golden.safetensors"), facts["grid"], facts["guidance"]


def given(folder: Path) -> tuple[dict, dict[str, torch.Tensor], list[int], float]:
    parts = {
        "vae": AutoencoderKL.from_pretrained(folder, subfolder="vae", torch_dtype=torch.float32).eval(),
        "scheduler": FlowMatchEulerDiscreteScheduler.from_pretrained(folder, subfolder="scheduler"),
        "transformer": FluxTransformer2DModel.from_pretrained(
            folder, subfolder="transformer", torch_dtype=torch.float32).eval(),
    }
    inputs = load_file(folder / "golden/golden.safetensors")
    side = round(inputs["noise"].shape[1] ** 0.5)
    guidance = json.loads((folder / "golden/golden.json").read_text()).get("guidance", 3)
    return parts, inputs, [side, side], guidance


if __name__ == "__main__":
    mode, *rest = sys.argv[1:] or [""]
    if mode not in ("make", "check") or len(rest) not in (0, 2):
        sys.exit("usage: flux_edits.py make|check [NAME DIRECTORY]")
    name, source = (rest[0], given(Path(rest[1]))) if rest else ("flux-a", small())
    file = GOLDEN / f"flux-edits/{name}.safetensors"
    found = results(*source)
    if mode == "make":
        file.parent.mkdir(exist_ok=True)
        save_file({key: value.contiguous() for key, value in found.items()}, file)
    else:
        report, stored = Report(), load(file)
        for key, value in found.items():
            report.add(f"{name} {key}", value, stored[key])
        report.exit()
