"""Trains fashion-dit, a class-conditional DiT on Fashion-MNIST, 32 x 32 grey.

    apt install dataset-fashion-mnist
    pip install torch==2.13.0 numpy
    python3 scripts/train/fashion_dit.py --out dist/fashion-dit

The 2,875 iterations of the default recipe (368 k images, 6.1 epochs) took 105 minutes on two CPU cores; training
longer makes the model better. Writes `weights.safetensors` (EMA weights, fp16, official DiT tensor names) and
`config.json` (the original constructor's keys), which `deno task generate --model dist/fashion-dit` opens. To embed
them, copy the weights to `models/fashion-dit` and run `scripts/make/manifest.ts`. `scripts/train/verify_fashion_dit.py`
proves that the definition below computes what the original code does.

Sources: Peebles & Xie, Scalable Diffusion Models with Transformers (2023): model, initialisation, label dropout;
Nichol & Dhariwal, Improved DDPM (2021): learned variance and the hybrid loss.
"""

import argparse
import copy
import gzip
import json
import math
import struct
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# ---------------------------------------------------------------------------------------------------------------- model


@dataclass(frozen=True)
class Config:
    """Keys of the original constructor."""

    input_size: int = 32
    patch_size: int = 4
    in_channels: int = 1
    hidden_size: int = 192
    depth: int = 12
    num_heads: int = 3
    num_classes: int = 10
    learn_sigma: bool = True

    @property
    def out_channels(self) -> int:
        return self.in_channels * (2 if self.learn_sigma else 1)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return x * (1 + scale[:, None]) + shift[:, None]  # (N, T, D), (N, D), (N, D)


class PatchEmbed(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        p = config.patch_size
        self.proj = nn.Conv2d(config.in_channels, config.hidden_size, p, stride=p)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)  # (N, C, H, W) -> (N, T, D)


class TimestepEmbedder(nn.Module):
    FREQUENCIES = 256

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(self.FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        half = self.FREQUENCIES // 2
        frequencies = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32, device=t.device) / half)
        angles = t[:, None].float() * frequencies  # (N, 128)
        return self.mlp(torch.cat([angles.cos(), angles.sin()], dim=-1))  # (N, D)


class LabelEmbedder(nn.Module):
    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(classes + 1, width)  # the last row is the null class

    def forward(self, label: Tensor) -> Tensor:
        return self.embedding_table(label)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, t, d = x.shape
        qkv = self.qkv(x).view(n, t, 3, self.heads, d // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (N, heads, T, D / heads)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).reshape(n, t, d))


class Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attn = Attention(width, heads)
        self.mlp = Mlp(width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(c).chunk(6, dim=1)
        x = x + gate_a[:, None] * self.attn(modulate(self.norm(x), shift_a, scale_a))
        return x + gate_m[:, None] * self.mlp(modulate(self.norm(x), shift_m, scale_m))


class FinalLayer(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.hidden_size
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.linear = nn.Linear(width, config.patch_size**2 * config.out_channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(c).chunk(2, dim=1)
        return self.linear(modulate(self.norm(x), shift, scale))  # (N, T, p * p * C)


class DiT(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width, side = config.hidden_size, config.input_size // config.patch_size
        self.x_embedder = PatchEmbed(config)
        self.t_embedder = TimestepEmbedder(width)
        self.y_embedder = LabelEmbedder(config.num_classes, width)
        self.pos_embed = nn.Parameter(position_embedding(width, side), requires_grad=False)
        self.blocks = nn.ModuleList(Block(width, config.num_heads) for _ in range(config.depth))
        self.final_layer = FinalLayer(config)
        self.initialise()

    def initialise(self) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
        nn.init.xavier_uniform_(self.x_embedder.proj.weight.view(self.config.hidden_size, -1))
        nn.init.zeros_(self.x_embedder.proj.bias)
        for embedding in (self.y_embedder.embedding_table, self.t_embedder.mlp[0], self.t_embedder.mlp[2]):
            nn.init.normal_(embedding.weight, std=0.02)
        # Every block begins as the identity and the model as zero ("adaLN-Zero").
        modulations = [part.adaLN_modulation[1] for part in (*self.blocks, self.final_layer)]
        for layer in (*modulations, self.final_layer.linear):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        h = self.x_embedder(x) + self.pos_embed  # (N, T, D)
        c = self.t_embedder(t) + self.y_embedder(label)  # (N, D)
        for block in self.blocks:
            h = block(h, c)
        return self.unpatchify(self.final_layer(h, c))

    def unpatchify(self, h: Tensor) -> Tensor:
        n, p, side = h.shape[0], self.config.patch_size, self.config.input_size // self.config.patch_size
        h = h.view(n, side, side, p, p, self.config.out_channels)
        return h.permute(0, 5, 1, 3, 2, 4).reshape(n, -1, side * p, side * p)  # (N, C, H, W)


def position_embedding(width: int, side: int) -> Tensor:
    """Fixed sine-cosine table (1, T, D): the first half of the width knows the column, the second the row."""
    rates = 10000.0 ** -(np.arange(width // 4) / (width // 4))
    rows, columns = np.divmod(np.arange(side * side), side)
    angles = [np.outer(position, rates) for position in (columns, rows)]
    table = np.concatenate([wave(angle) for angle in angles for wave in (np.sin, np.cos)], axis=1)
    return torch.from_numpy(table).float()[None]


# ------------------------------------------------------------------------------------------------------------ diffusion


class Diffusion:
    """Gaussian diffusion with 1000 linear betas; the model predicts epsilon and where the variance lies."""

    STEPS = 1000

    def __init__(self, device: torch.device) -> None:
        beta = torch.linspace(1e-4, 0.02, self.STEPS, dtype=torch.float64)
        kept = (1 - beta).cumprod(0)  # alpha bar
        before = torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
        variance = beta * (1 - before) / (1 - kept)  # of the posterior q(x[t-1] | x[t], x[0]); 0 at t = 0
        variance[0] = variance[1]

        def table(values: Tensor) -> Tensor:
            return values.float().to(device)

        self.signal, self.noise = table(kept.sqrt()), table((1 - kept).sqrt())
        self.log_beta, self.log_variance = table(beta.log()), table(variance.log())
        self.from_start = table(beta * before.sqrt() / (1 - kept))  # posterior mean = from_start * x[0]
        self.from_now = table((1 - before) * (1 - beta).sqrt() / (1 - kept))  # + from_now * x[t]

    def loss(self, model: nn.Module, start: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Mean squared error of epsilon and the variational bound, both means over the batch.

        The bound (1000 terms, estimated by the one at t, times 1000) is weighted by 1 / 1000 and moves the variance
        only: the predicted mean is detached.
        """
        t = torch.randint(self.STEPS, label.shape, device=start.device)
        epsilon = torch.randn_like(start)

        def at(values: Tensor) -> Tensor:
            return values[t].view(-1, 1, 1, 1)

        x = at(self.signal) * start + at(self.noise) * epsilon
        predicted, fraction = model(x, t, label).float().chunk(2, dim=1)

        mean = at(self.from_start) * start + at(self.from_now) * x
        predicted_start = (x - at(self.noise) * predicted.detach()) / at(self.signal)
        predicted_mean = at(self.from_start) * predicted_start + at(self.from_now) * x
        fraction = (fraction + 1) / 2  # -1 is the least variance, 1 the largest
        log_variance = fraction * at(self.log_beta) + (1 - fraction) * at(self.log_variance)

        divergence = kl_divergence(mean, at(self.log_variance), predicted_mean, log_variance)
        likelihood = log_likelihood(start, predicted_mean, log_variance / 2)
        bound = torch.where(t.view(-1, 1, 1, 1) == 0, -likelihood, divergence).mean() / math.log(2)
        return F.mse_loss(predicted, epsilon), bound


def kl_divergence(mean_p: Tensor, log_var_p: Tensor, mean_q: Tensor, log_var_q: Tensor) -> Tensor:
    """KL(p || q) of two normal distributions, in nats."""
    difference = log_var_q - log_var_p
    return 0.5 * (difference - 1 + torch.exp(-difference) + (mean_p - mean_q) ** 2 * torch.exp(-log_var_q))


def log_likelihood(x: Tensor, mean: Tensor, log_sigma: Tensor) -> Tensor:
    """Log of the mass that a normal distribution has in the bin of an 8-bit level; the outer bins have no end."""
    below = torch.special.ndtr((x - 1 / 255 - mean) * torch.exp(-log_sigma))
    above = torch.special.ndtr((x + 1 / 255 - mean) * torch.exp(-log_sigma))
    below = torch.where(x < -0.999, torch.zeros_like(x), below)
    above = torch.where(x > 0.999, torch.ones_like(x), above)
    return (above - below).clamp(min=1e-12).log()


# ---------------------------------------------------------------------------------------------------------------- files


DATA = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package puts it


def read_idx(path: Path) -> np.ndarray:
    """The array of a gzipped idx file: two zero bytes, type 8 (uint8), rank, big-endian sizes, numbers."""
    content = gzip.decompress(path.read_bytes())
    zeros, kind, rank = struct.unpack_from(">HBB", content)
    if (zeros, kind) != (0, 8):
        raise ValueError(f"Cannot read {path}: its type must be uint8: current value is {kind}")
    sizes = struct.unpack_from(f">{rank}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(sizes)


def read_pictures(folder: Path) -> tuple[Tensor, Tensor]:
    """Training pictures (60000, 1, 32, 32) in [-1, 1], padded with black, and their labels."""
    levels = torch.from_numpy(read_idx(folder / "train-images-idx3-ubyte.gz").copy())
    labels = torch.from_numpy(read_idx(folder / "train-labels-idx1-ubyte.gz").astype(np.int64))
    return F.pad(levels[:, None].float() / 127.5 - 1, (2, 2, 2, 2), value=-1), labels


def write_safetensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """fp16, in order of names. Format: header length (u64), JSON header padded to 8 bytes, numbers."""
    arrays = {name: tensors[name].detach().cpu().to(torch.float16).numpy() for name in sorted(tensors)}
    header, end = {}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F16", "shape": array.shape, "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(array.tobytes() for array in arrays.values()))


# ------------------------------------------------------------------------------------------------------------- training

LEARNING_RATE, WARM_UP, LAST_RATE = 1e-3, 200, 0.02  # of AdamW; iterations; fraction left at the end of the cosine
LABEL_DROPOUT = 0.1
FLIPPED_CLASSES = 5  # 0 to 4 (tops, trousers, dress, coat) look as well mirrored; shoes and bags all point one way
EMA_DECAY = 0.9995
GRADIENT_NORM = 1.0


def rate_at(step: int, steps: int) -> float:
    """Learning rate: linear warm-up (a tenth of a short run), then cosine."""
    warm_up = min(WARM_UP, steps // 10)
    if step < warm_up:
        return LEARNING_RATE * (step + 1) / warm_up
    cosine = 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up)))
    return LEARNING_RATE * (LAST_RATE + (1 - LAST_RATE) * cosine)


def batches(pictures: Tensor, labels: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless epochs in random order, each picture with its flip and label dropout."""
    null = int(labels.max()) + 1
    while True:
        for chosen in torch.randperm(len(labels)).split(size):
            if len(chosen) < size:
                continue
            x, label = pictures[chosen], labels[chosen]
            flip = (torch.rand(size) < 0.5) & (label < FLIPPED_CLASSES)
            x = torch.where(flip.view(-1, 1, 1, 1), x.flip(3), x)
            yield x, torch.where(torch.rand(size) < LABEL_DROPOUT, null, label)


@torch.no_grad()
def follow(ema: nn.Module, model: nn.Module, step: int) -> None:
    """Moves the averaged weights; early on they forget faster, or they would keep the random beginning."""
    decay = min(EMA_DECAY, (1 + step) / (10 + step))
    for averaged, current in zip(ema.parameters(), model.parameters(), strict=True):
        averaged.lerp_(current, 1 - decay)


def train(args: argparse.Namespace) -> nn.Module:
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = DiT(Config()).to(device)
    ema = copy.deepcopy(model).requires_grad_(False)
    diffusion = Diffusion(device)
    learned = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0)
    source = batches(*read_pictures(args.data), args.batch)
    shown, begin = [], time.monotonic()
    for step in range(args.steps):
        optimizer.param_groups[0]["lr"] = rate_at(step, args.steps)
        x, label = (part.to(device) for part in next(source))
        with torch.autocast(device.type, dtype=torch.bfloat16):
            squared, bound = diffusion.loss(model, x, label)
        optimizer.zero_grad(set_to_none=True)
        (squared + bound).backward()
        nn.utils.clip_grad_norm_(learned, GRADIENT_NORM)
        optimizer.step()
        follow(ema, model, step)
        shown.append((squared.item(), bound.item()))
        if (step + 1) % args.report == 0 or step + 1 == args.steps:
            squared_mean, bound_mean = np.mean(shown, axis=0)
            pace = (time.monotonic() - begin) / (step + 1)
            losses = f"mse {squared_mean:.4f}  bound {bound_mean:.4f}"
            print(f"{step + 1}/{args.steps}  {losses}  {pace:.2f} s/step", flush=True)
            shown.clear()
    return ema


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the embedded DiT on Fashion-MNIST.")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights.safetensors and config.json")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the idx files")
    parser.add_argument("--steps", type=int, default=2875, help="iterations")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=int, default=25, help="iterations per printed line")
    args = parser.parse_args()
    ema = train(args)
    args.out.mkdir(parents=True, exist_ok=True)
    write_safetensors(args.out / "weights.safetensors", ema.state_dict())
    (args.out / "config.json").write_text(json.dumps(asdict(Config())) + "\n")


if __name__ == "__main__":
    main()
