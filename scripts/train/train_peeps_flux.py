"""Trains peeps-flux from scratch: autoencoder, then transformer with both text encoders, then guidance distilled.

    pip install torch==2.13.0 diffusers==0.42.1 transformers==5.24.0 numpy pillow tokenizers==0.23.3 resvg_py==0.5.0
    python3 scripts/train/peeps_flux_data.py --out dist/peeps-flux-data
    python3 scripts/train/train_peeps_flux.py --data dist/peeps-flux-data --out dist/peeps-flux

On one H100 the published weights took 100 s, 238 s and 34 s (`--seconds`); longer makes the model better, above all
in colours. Writes a diffusers `FluxPipeline` directory in float16, which `deno task generate --model dist/peeps-flux`
opens and `scripts/make/peeps_flux.ts` packs. `--smoke` takes a few steps of each part on a CPU, to see that it runs.

Sources: Esser et al., Scaling Rectified Flow Transformers (2024): flow matching, times; Meng et al., On Distillation of
Guided Diffusion Models (2023); Jordan, Muon (2024): the optimiser of matrices.
"""

import argparse
import contextlib
import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from peeps_flux_data import LENGTH, SIDE, Pictures
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast, T5Config, T5EncoderModel

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
GRID = SIDE // 8  # tokens of a side: the autoencoder halves twice, a token has 2 × 2 latents
GUIDANCE = (1.0, 6.0)  # what is distilled
UNNAMED = 0.12  # share of pictures that are learned without a caption


@dataclass(frozen=True)
class Run:
    """How much of everything."""

    batch: int
    autoencoder_batch: int
    seconds: tuple[float, float, float]  # autoencoder, transformer, guidance
    most_steps: int

    def steps(self, part: int) -> Iterator[tuple[int, float]]:
        """Numbers of steps, and the share of the time that is over."""
        began = time.monotonic()
        for step in range(self.most_steps):
            share = (time.monotonic() - began) / self.seconds[part]
            if share >= 1:
                return
            yield step, share


def autocast() -> contextlib.AbstractContextManager:
    return torch.autocast(DEVICE, torch.bfloat16) if DEVICE == "cuda" else contextlib.nullcontext()


def set_rate(optimiser: torch.optim.Optimizer, rate: float, warm: float, share: float, decay: float) -> None:
    """Linear up in the first steps, linear down in the last `decay` of the time."""
    for group in optimiser.param_groups:
        group["lr"] = rate * min(1, warm) * min(1, max(0, 1 - share) / decay)


def averaged(average: list[Tensor], parameters: list[Tensor], step: int, most: float) -> None:
    """Moves an exponential average, which begins as a plain one."""
    keep = min(most, 1 - 1 / (1 + step * 0.25))
    torch._foreach_lerp_(average, [parameter.detach() for parameter in parameters], 1 - keep)


# --------------------------------------------------------------------------------------------------------------- data


class Data:
    """Rows of pictures with the ids of their captions; emoji have three captions each."""

    def __init__(self, folder: Path, smoke: bool) -> None:
        stored = np.load(folder / "data.npz")
        self.pictures = Pictures(stored["parts"], stored["emoji"], DEVICE)
        limit = 64 if smoke else None
        whole = lambda name: torch.from_numpy(stored[name][:limit].astype(np.int64)).to(DEVICE)
        self.avatars, self.emoji = whole("avatar_rows"), whole("emoji_rows")
        self.avatar_ids = torch.stack([whole("avatar_clip"), whole("avatar_t5")], 1)  # (n, 2, LENGTH)
        self.emoji_ids = torch.stack([whole("emoji_clip"), whole("emoji_t5")], 2)  # (n, 3, 2, LENGTH)

    def sample(self, count: int, share_of_emoji: float) -> Tensor:
        emoji = int(count * share_of_emoji)
        some = lambda rows, n: rows[torch.randint(len(rows), [n], device=DEVICE)]
        return torch.cat([self.pictures.drawn_emoji(some(self.emoji, emoji)),
                          self.pictures.avatars(some(self.avatars, count - emoji))])


# -------------------------------------------------------------------------------------------------------- autoencoder


def make_autoencoder() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(32, 64, 96), layers_per_block=1, latent_channels=8, norm_num_groups=16, sample_size=SIDE,
        use_quant_conv=False, use_post_quant_conv=False, force_upcast=False)


def moments(autoencoder: AutoencoderKL, pictures: Tensor) -> tuple[Tensor, Tensor]:
    with autocast():
        mean, logarithm = autoencoder.encoder(pictures).float().chunk(2, 1)
    return mean, logarithm.clamp(-20, 10)


def picture_loss(found: Tensor, wanted: Tensor) -> Tensor:
    """Absolute differences at four sizes, of edges, and squares."""
    loss = F.mse_loss(found, wanted)
    for axis in (2, 3):
        loss = loss + (found.diff(dim=axis) - wanted.diff(dim=axis)).abs().mean()
    for _ in range(4):
        loss = loss + (found - wanted).abs().mean()
        found, wanted = F.avg_pool2d(found, 2), F.avg_pool2d(wanted, 2)
    return loss


def train_autoencoder(data: Data, run: Run) -> AutoencoderKL:
    torch.manual_seed(0)
    autoencoder = make_autoencoder().to(DEVICE)
    optimiser = torch.optim.AdamW(autoencoder.parameters(), betas=(0.9, 0.95), weight_decay=1e-3)
    for step, share in run.steps(0):
        set_rate(optimiser, 1.5e-3, (step + 1) / 50, share, 0.6)
        pictures = data.sample(run.autoencoder_batch, 5 / 8)
        mean, logarithm = moments(autoencoder, pictures)
        with autocast():
            decoded = autoencoder.decoder(mean + (logarithm / 2).exp() * torch.randn_like(mean))
        divergence = (mean**2 + logarithm.exp() - 1 - logarithm).mean() / 2
        loss = picture_loss(decoded.float(), pictures) + 2e-4 * divergence
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(autoencoder.parameters(), 1.0)
        optimiser.step()
        tell("autoencoder", step, loss)
    with torch.no_grad():
        mean, _ = moments(autoencoder, data.sample(min(128, 4 * run.autoencoder_batch), 0.5))
    autoencoder.register_to_config(scaling_factor=1 / mean.std().item(), shift_factor=mean.mean().item())
    return autoencoder.eval().requires_grad_(False)


@torch.no_grad()
def encoded(autoencoder: AutoencoderKL, draw: Callable[[Tensor], Tensor], rows: Tensor, at_once: int) -> Tensor:
    """Packed latents (n, tokens, 32) of pictures."""
    shift, scale = autoencoder.config.shift_factor, autoencoder.config.scaling_factor
    parts = [(moments(autoencoder, draw(some))[0] - shift) * scale for some in rows.split(at_once)]
    latents = torch.cat([part.to(torch.bfloat16) for part in parts])
    tiles = latents.view(len(latents), 8, GRID, 2, GRID, 2)
    return tiles.permute(0, 2, 4, 1, 3, 5).reshape(len(latents), GRID**2, 32)


# -------------------------------------------------------------------------------------------------------- transformer


class Painter(nn.Module):
    """The transformer with its text encoders."""

    def __init__(self) -> None:
        super().__init__()
        self.t5 = T5EncoderModel(T5Config(
            vocab_size=2560, d_model=256, d_kv=64, d_ff=512, num_layers=2, num_heads=4, dropout_rate=0.0,
            relative_attention_num_buckets=16, relative_attention_max_distance=LENGTH, feed_forward_proj="gated-gelu",
            is_encoder_decoder=False, use_cache=False, pad_token_id=0, eos_token_id=1))
        self.clip = CLIPTextModel(CLIPTextConfig(
            vocab_size=2048, hidden_size=128, intermediate_size=512, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=LENGTH, hidden_act="quick_gelu", projection_dim=128, bos_token_id=0, eos_token_id=1,
            pad_token_id=1))
        self.transformer = FluxTransformer2DModel(
            patch_size=1, in_channels=32, num_layers=1, num_single_layers=5, attention_head_dim=64,
            num_attention_heads=5, joint_attention_dim=256, pooled_projection_dim=128, guidance_embeds=True,
            axes_dims_rope=(16, 24, 24))
        self.begin()
        rows, columns = torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij")
        places = torch.stack([torch.zeros_like(rows), rows, columns], -1).view(-1, 3).float()
        self.register_buffer("places", places, persistent=False)

    def begin(self) -> None:
        """What modulates, what leaves the network and what guidance adds begins as nothing."""
        for name, parameter in self.transformer.named_parameters():
            if parameter.ndim == 1:
                nn.init.ones_(parameter) if name.endswith("weight") else nn.init.zeros_(parameter)
            elif ".norm" in name or name.startswith(("norm_out", "proj_out")) or "guidance_embedder.linear_2" in name:
                nn.init.zeros_(parameter)
            elif name.startswith("time_text"):
                nn.init.normal_(parameter, std=0.02)
            else:
                nn.init.xavier_uniform_(parameter)

    def text(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Features and the pooled text of ids (n, 2, LENGTH)."""
        with autocast():
            return self.t5(input_ids=ids[:, 1]).last_hidden_state, self.clip(input_ids=ids[:, 0]).pooler_output

    def velocity(self, latents: Tensor, times: Tensor, text: tuple[Tensor, Tensor], guidance: Tensor) -> Tensor:
        features, pooled = text
        with autocast():
            return self.transformer(
                hidden_states=latents, encoder_hidden_states=features, pooled_projections=pooled, timestep=times,
                guidance=guidance, img_ids=self.places, txt_ids=torch.zeros(LENGTH, 3, device=latents.device),
                return_dict=False)[0].float()


class Muon(torch.optim.Optimizer):
    """Momentum whose singular values are made nearly equal, for matrices between hidden states."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        super().__init__(parameters, {"lr": 0.0})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for parameter in (each for each in group["params"] if each.grad is not None):
                momentum = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                momentum.lerp_(parameter.grad, 0.05)
                update = orthogonal(parameter.grad.lerp(momentum, 0.95)).to(parameter.dtype)
                scale = max(1, parameter.shape[0] / parameter.shape[1]) ** 0.5
                parameter.mul_(1 - group["lr"] * 0.01).add_(update, alpha=-group["lr"] * scale)


def orthogonal(matrix: Tensor) -> Tensor:
    """Five steps of Newton and Schulz."""
    x = matrix.bfloat16() if DEVICE == "cuda" else matrix
    x = x.mT if (tall := x.shape[0] > x.shape[1]) else x
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.mT if tall else x


class Examples:
    """Batches of packed latents, caption ids, times and noise."""

    def __init__(self, data: Data, autoencoder: AutoencoderKL, run: Run) -> None:
        at_once = run.autoencoder_batch
        self.emoji = encoded(autoencoder, data.pictures.drawn_emoji, data.emoji, at_once)
        self.avatars = encoded(autoencoder, data.pictures.avatars, data.avatars, at_once)
        self.data, self.batch = data, run.batch
        unnamed = torch.zeros(2, LENGTH, dtype=torch.long, device=DEVICE)
        unnamed[0, 1:], unnamed[1, 0] = 1, 1  # start and ends of CLIP; T5's end, then pads
        self.unnamed = unnamed

    def draw(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        emoji = int(self.batch * 0.65)
        at = lambda rows, count: torch.randint(len(rows), [count], device=DEVICE)
        i, j = at(self.emoji, emoji), at(self.avatars, self.batch - emoji)
        caption = torch.randint(3, [emoji], device=DEVICE)
        ids = torch.cat([self.data.emoji_ids[i, caption], self.data.avatar_ids[j]])
        latents = torch.cat([self.emoji[i], self.avatars[j]]).float()
        return latents, ids, self.times(), torch.randn_like(latents)

    def times(self) -> Tensor:
        """Logit-normal, one in ten uniform, shifted towards noise as 256 tokens are when they are sampled."""
        times = torch.randn(self.batch, device=DEVICE).sigmoid()
        times = torch.where(torch.rand_like(times) < 0.1, torch.rand_like(times), times)
        return 1.6 * times / (1 + 0.6 * times)


def mixed(latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
    share = times.view(-1, 1, 1)
    return (1 - share) * latents + share * noise


def train_painter(examples: Examples, run: Run) -> Painter:
    torch.manual_seed(1)
    painter = Painter().to(DEVICE)
    inner = lambda name: any(word in name for word in (".layers.", ".block.", "transformer_blocks."))
    hidden = [parameter for name, parameter in painter.named_parameters()
              if parameter.ndim == 2 and inner(name) and "norm" not in name and "relative" not in name]
    known = {id(parameter) for parameter in hidden}
    others = [parameter for parameter in painter.parameters() if id(parameter) not in known]
    muon, adam = Muon(hidden), torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0)
    parameters = [*painter.parameters()]
    average = [parameter.detach().clone() for parameter in parameters]
    for step, share in run.steps(1):
        set_rate(muon, 0.02, (step + 1) / 60, share, 0.45)
        set_rate(adam, 1.5e-3, (step + 1) / 60, share, 0.45)
        latents, ids, times, noise = examples.draw()
        unnamed = torch.rand(len(ids), 1, 1, device=DEVICE) < UNNAMED
        text = painter.text(torch.where(unnamed, examples.unnamed, ids))
        found = painter.velocity(mixed(latents, noise, times), times, text, torch.ones_like(times))
        loss = F.mse_loss(found, noise - latents)
        painter.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(others, 1.0)
        muon.step()
        adam.step()
        averaged(average, parameters, step, 0.999)
        tell("transformer", step, loss)
    with torch.no_grad():
        torch._foreach_copy_(parameters, average)
    return painter


def distil_guidance(painter: Painter, examples: Examples, run: Run) -> None:
    """What two halves would give at a scale, in one: the scale is an input of the transformer."""
    teacher = copy.deepcopy(painter).requires_grad_(False)
    for encoder in (painter.t5, painter.clip):
        encoder.requires_grad_(False)
    parameters = [*painter.transformer.parameters()]
    optimiser = torch.optim.AdamW(parameters, betas=(0.9, 0.95), weight_decay=0)
    average = [parameter.detach().clone() for parameter in parameters]
    for step, share in run.steps(2):
        set_rate(optimiser, 4e-4, (step + 1) / 20, share, 0.5)
        latents, ids, times, noise = examples.draw()
        noisy, one = mixed(latents, noise, times), torch.ones_like(times)
        scale = GUIDANCE[0] + (GUIDANCE[1] - GUIDANCE[0]) * torch.rand_like(times)
        with torch.no_grad():
            text = teacher.text(ids)
            unnamed = teacher.text(examples.unnamed.expand(len(ids), -1, -1))
            without = teacher.velocity(noisy, times, unnamed, one)
            wanted = without + scale.view(-1, 1, 1) * (teacher.velocity(noisy, times, text, one) - without)
        loss = F.mse_loss(painter.velocity(noisy, times, text, scale), wanted)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        averaged(average, parameters, step, 0.99)
        tell("guidance", step, loss)
    with torch.no_grad():
        torch._foreach_copy_(parameters, average)


# -------------------------------------------------------------------------------------------------------------- whole


def tell(part: str, step: int, loss: Tensor) -> None:
    if step < 3 or step % 100 == 0:
        print(f"{part} {step + 1}: loss {loss.item():.4f}", flush=True)


def pipeline(painter: Painter, autoencoder: AutoencoderKL, folder: Path) -> FluxPipeline:
    """In float16, but for T5's `wo`, which overflows where a model is larger: transformers keeps it in float32."""
    common = {"model_max_length": LENGTH}
    start, end = "<|startoftext|>", "<|endoftext|>"
    clip = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_file(str(folder / "clip.json")), bos_token=start, eos_token=end, pad_token=end,
        unk_token=end, **common)
    t5 = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_file(str(folder / "t5.json")), pad_token="<pad>", eos_token="</s>",
        unk_token="<unk>", **common)
    half = {name: getattr(painter, name).half().cpu() for name in ("transformer", "clip", "t5")}
    for block in half["t5"].encoder.block:
        block.layer[-1].DenseReluDense.wo.float()
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0), vae=autoencoder.half().cpu(),
        text_encoder=half["clip"], tokenizer=clip, text_encoder_2=half["t5"], tokenizer_2=t5,
        transformer=half["transformer"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that peeps_flux_data.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, nargs=3, default=(100, 238, 34))
    parser.add_argument("--batch", type=int, default=384)
    parser.add_argument("--smoke", action="store_true", help="a few steps of small batches")
    args = parser.parse_args()
    run = Run(4, 4, (600, 600, 600), 3) if args.smoke else Run(args.batch, 128, tuple(args.seconds), 10**9)
    data = Data(args.data, args.smoke)
    autoencoder = train_autoencoder(data, run)
    examples = Examples(data, autoencoder, run)
    painter = train_painter(examples, run)
    distil_guidance(painter, examples, run)
    pipeline(painter, autoencoder, args.data).save_pretrained(args.out, max_shard_size="16MB")
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
