"""Makes or checks tests/golden/flux-edits: diffusers' FluxImg2ImgPipeline and FluxInpaintPipeline on a drawing and a
mask of tests/golden/pictures, cropped and resized as ours are.

    python3 scripts/golden/flux_edits.py make flux-a         flux-a, with the autoencoder of dit-a-diffusers
    python3 scripts/golden/flux_edits.py make peeps-flux     models/peeps-flux, from the numbers its integers stand for
    python3 scripts/golden/flux_edits.py check NAME          recomputes what is stored, within 1e-4 of the largest number

The pipelines draw a picture's latents from their distribution; here, as in ours, they are its mode. Noise is given:
that of the models' own goldens.

Made with diffusers 0.42.1, torch 2.13.0 (CPU), Pillow 13.0.0.
"""

import sys

import peeps_flux
import torch
from compare import GOLDEN, Report, load, read_json
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxImg2ImgPipeline, FluxInpaintPipeline
from diffusers.pipelines.flux import pipeline_flux_img2img, pipeline_flux_inpaint
from flux import open_model
from PIL import Image
from safetensors.torch import save_file

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
    """Of all rows of the inputs."""
    rows, columns = grid
    scale = 2 ** (len(parts["vae"].config.block_out_channels) - 1)
    size = {"width": 2 * scale * columns, "height": 2 * scale * rows}
    patch(FluxImg2ImgPipeline._unpack_latents(inputs["noise"], size["height"], size["width"], scale))
    texts = dict.fromkeys(("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"))
    edit, paint = (kind(**parts, **texts) for kind in (FluxImg2ImgPipeline, FluxInpaintPipeline))
    call = {
        **size, "image": fitted("source.png", **size), "num_inference_steps": STEPS, "guidance_scale": guidance,
        "prompt_embeds": inputs["text"], "pooled_prompt_embeds": inputs["pooled"], "output_type": "latent",
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
    return parts, inputs_of("flux-a", 2), facts["grid"], facts["guidance"]


def trained() -> tuple[dict, dict[str, torch.Tensor], list[int], float]:
    pipe = peeps_flux.pipeline()
    parts = {"vae": pipe.vae, "scheduler": pipe.scheduler, "transformer": pipe.transformer}
    return parts, inputs_of("peeps-flux", 1), [16, 16], peeps_flux.GUIDANCE


def inputs_of(name: str, rows: int) -> dict[str, torch.Tensor]:
    stored = load(f"{name}/golden.safetensors")
    return {key: stored[key][:rows] for key in ("noise", "text", "pooled")}


SOURCES = {"flux-a": small, "peeps-flux": trained}

if __name__ == "__main__":
    mode, name = sys.argv[1:] if len(sys.argv) == 3 else ("", "")
    if mode not in ("make", "check") or name not in SOURCES:
        sys.exit(__doc__)
    file = GOLDEN / f"flux-edits/{name}.safetensors"
    found = results(*SOURCES[name]())
    if mode == "make":
        file.parent.mkdir(exist_ok=True)
        save_file({key: value.contiguous() for key, value in found.items()}, file)
    else:
        report, stored = Report(), load(file)
        for key, value in found.items():
            report.add(f"{name} {key}", value, stored[key])
        report.exit()
