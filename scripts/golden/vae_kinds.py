"""Makes or checks the golden autoencoders of tests/golden/vae-kinds: an AutoencoderTiny, and an
AutoencoderKL without attention in the middle. Weights are random, small, and stored in float16, which every
number of the reference was rounded to before; the reference computes in float32.

    python3 scripts/golden/vae_kinds.py make    writes the files anew
    python3 scripts/golden/vae_kinds.py check   recomputes what is stored, within 1e-4 of the largest number

Made with diffusers 0.42.1, torch 2.13.0 (CPU), safetensors 0.8.
"""

import pathlib
import sys

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from safetensors.torch import load_file, save_file

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/vae-kinds"
LEVELS = 2


def tiny():
    return AutoencoderTiny(
        encoder_block_out_channels=(8, 8), num_encoder_blocks=(1, 1),
        decoder_block_out_channels=(8, 8), num_decoder_blocks=(2, 1),
        scaling_factor=0.8, latent_magnitude=2, latent_shift=0.4)


def without_attention():
    return AutoencoderKL(
        block_out_channels=(4, 8), norm_num_groups=2, latent_channels=4, layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * LEVELS, up_block_types=("UpDecoderBlock2D",) * LEVELS,
        mid_block_add_attention=False)


KINDS = {"tiny": (AutoencoderTiny, tiny), "no-attention": (AutoencoderKL, without_attention)}


@torch.no_grad()
def results(vae, latent):
    """What a pipeline decodes: latents in the diffusion model's scale; and the mean that it encodes a picture to."""
    raw = latent / vae.config.scaling_factor
    tensors = {"latent": latent, "image": vae.decode(raw).sample}
    if isinstance(vae, AutoencoderKL):
        tensors["encode.image"] = tensors["image"].clamp(-1, 1)
        tensors["encode.mean"] = vae.encode(tensors["encode.image"]).latent_dist.mean
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


@torch.no_grad()
def make(name, build):
    torch.manual_seed(11)
    vae = build().eval()
    for parameter in vae.parameters():  # larger than PyTorch's own, so that every layer counts
        std = 1.3 / parameter[0].numel() ** 0.5 if parameter.dim() > 1 else 0.2
        mean = 1 if parameter.dim() == 1 and name == "no-attention" else 0
        parameter.copy_((torch.randn_like(parameter) * std + mean).half().float())
    latent = 3 * torch.randn(1, 4, 6, 5)  # beyond the tanh that clamps
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    vae.save_config(folder)
    halves = {key: value.half() for key, value in vae.state_dict().items()}
    save_file(halves, folder / "diffusion_pytorch_model.safetensors")
    save_file(results(vae, latent), folder / "golden.safetensors")


def check(name, kind):
    folder = FOLDER / name
    vae = kind.from_pretrained(folder, torch_dtype=torch.float32).eval()
    stored = load_file(folder / "golden.safetensors")
    for key, value in results(vae, stored["latent"]).items():
        off = ((value - stored[key]).abs().max() / stored[key].abs().max()).item()
        print(f"{name} {key}: {off:.1e} × max")
        if off > 1e-4:
            sys.exit(f"{name} {key} is not what is stored")


if __name__ == "__main__":
    mode = sys.argv[1] if len(sys.argv) == 2 else ""
    if mode not in ("make", "check"):
        sys.exit("usage: vae_kinds.py make|check")
    for kind_name, (kind_class, kind_build) in KINDS.items():
        make(kind_name, kind_build) if mode == "make" else check(kind_name, kind_class)
