"""Makes a small DiT of ODE_t(ODE_l) with random weights, and computes with it at several depths and step lengths.

    pip install torch==2.13.0 numpy safetensors
    python3 scripts/golden/odelt.py make|check

Written after the rules of gudovskiy/odelt 13de1d2 (arXiv 2506.21714; `model.py`, `helper_inference.py`), not after our
code, and in its terms: time goes from noise at 0 to the picture at 1, the velocity is picture - noise, a step is one of
2^s of equal length, and the model is told s. Of its 7 blocks in groups of 2 the last one never counts, as in DiT-XL
with its 28 in groups of 8, so no file has it.
"""

import argparse
import json
import math

import torch
from compare import GOLDEN, Report, load, read_json
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

FOLDER = GOLDEN / "odelt"
CONFIG = {
    "input_size": 8,
    "patch_size": 2,
    "in_channels": 4,
    "hidden_size": 16,
    "depth": 7,
    "num_heads": 2,
    "mlp_ratio": 2,
    "num_classes": 5,
    "learn_sigma": False,
    "depth_group": 2,
}
D, P, C, GROUP = 16, 2, 4, 2
DEPTHS = [7, 5, 3]  # active blocks that training draws from
SCALE = 1.5  # of guidance


def make_weights() -> dict[str, Tensor]:
    """Random ones, larger than trained ones would be, so that every part shows in the output."""
    generator = torch.Generator().manual_seed(16)
    shapes: dict[str, tuple[int, ...]] = {
        "x_embedder.proj.weight": (D, C, P, P),
        "y_embedder.embedding_table.weight": (CONFIG["num_classes"] + 1, D),
        "depth_embedder.embedding_table.weight": (CONFIG["depth"] + 1, D),
        "final_layer.linear.weight": (P * P * C, D),
        "final_layer.adaLN_modulation.1.weight": (2 * D, D),
    }
    for name in ("t_embedder", "dt_embedder"):
        shapes |= {f"{name}.mlp.0.weight": (D, 256), f"{name}.mlp.2.weight": (D, D)}
    for i in range(CONFIG["depth"] // GROUP * GROUP):
        shapes |= {
            f"blocks.{i}.attn.qkv.weight": (3 * D, D),
            f"blocks.{i}.attn.proj.weight": (D, D),
            f"blocks.{i}.mlp.fc1.weight": (2 * D, D),
            f"blocks.{i}.mlp.fc2.weight": (D, 2 * D),
            f"blocks.{i}.adaLN_modulation.1.weight": (6 * D, D),
        }
    weights = {}
    for name, dims in shapes.items():
        is_table = "table" in name
        fan = 1 if is_table else math.prod(dims[1:])
        weights[name] = torch.randn(dims, generator=generator) * (1.5 / fan**0.5 if not is_table else 1)
        if not is_table:
            weights[name.replace(".weight", ".bias")] = torch.randn(dims[0], generator=generator) * 0.3
    return {name: tensor.half() for name, tensor in weights.items()}


class Model:
    def __init__(self, weights: dict[str, Tensor]) -> None:
        self.weights = {name: tensor.float() for name, tensor in weights.items()}

    def linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def embed(self, number: Tensor, name: str) -> Tensor:
        frequencies = torch.exp(-math.log(10000) * torch.arange(128, dtype=torch.float32) / 128)
        angles = number[:, None].float() * frequencies
        features = torch.cat([angles.cos(), angles.sin()], dim=-1)
        return self.linear(F.silu(self.linear(features, f"{name}.mlp.0")), f"{name}.mlp.2")

    def modulated(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        return F.layer_norm(x, (D,), eps=1e-6) * (1 + scale[:, None]) + shift[:, None]

    def block(self, x: Tensor, c: Tensor, name: str) -> Tensor:
        rows = self.linear(F.silu(c), f"{name}.adaLN_modulation.1").chunk(6, dim=-1)
        n, tokens, _ = x.shape
        heads = CONFIG["num_heads"]
        qkv = self.linear(self.modulated(x, rows[0], rows[1]), f"{name}.attn.qkv")
        q, k, v = (part.view(n, tokens, heads, D // heads).transpose(1, 2) for part in qkv.chunk(3, dim=-1))
        mixed = torch.softmax(q / (D // heads) @ k.transpose(-2, -1), dim=-1) @ v  # 1/d, no root
        x = x + rows[2][:, None] * self.linear(mixed.transpose(1, 2).reshape(n, tokens, D), f"{name}.attn.proj")
        hidden = F.gelu(self.linear(self.modulated(x, rows[3], rows[4]), f"{name}.mlp.fc1"), approximate="tanh")
        return x + rows[5][:, None] * self.linear(hidden, f"{name}.mlp.fc2")

    def __call__(self, latent: Tensor, t: Tensor, s: Tensor, label: Tensor, active: int) -> Tensor:
        """Velocity `(N, C, H, W)` at times t, of 2^s steps, with so many active blocks."""
        weights, side = self.weights, latent.shape[-1] // P
        x = F.conv2d(latent, weights["x_embedder.proj.weight"], weights["x_embedder.proj.bias"], stride=P)
        xr = x.flatten(2).transpose(1, 2) + positions(side)
        c = self.embed(t, "t_embedder") + self.embed(s, "dt_embedder")
        c = c + weights["y_embedder.embedding_table.weight"][label]
        cb = c + weights["depth_embedder.embedding_table.weight"][active]
        vr = torch.zeros_like(xr)
        for i in range(CONFIG["depth"] // GROUP * GROUP):
            vb = self.block(xr, cb, f"blocks.{i}")
            if i % GROUP == GROUP - 1:
                delta = 1.0 if i < active else 0.0
                xr, vr = xr + delta * vb, vr + delta * vb
            else:
                xr = vb
        shift, scale = self.linear(F.silu(c), "final_layer.adaLN_modulation.1").chunk(2, dim=-1)
        y = self.linear(self.modulated(vr, shift, scale), "final_layer.linear")
        y = y.view(-1, side, side, P, P, C)
        return torch.einsum("nhwpqc->nchpwq", y).reshape(latent.shape)


def positions(side: int) -> Tensor:
    """The usual sines and cosines: the column's fill the first half of the width, the row's the second."""
    frequencies = 1 / 10000 ** (torch.arange(D // 4, dtype=torch.float64) / (D / 4))
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    parts = [where.reshape(-1, 1).double() * frequencies for where in (columns, rows)]
    return torch.cat([f(part) for part in parts for f in (torch.sin, torch.cos)], dim=-1).float()


def sample(model: Model, noise: Tensor, labels: Tensor, depths: list[int]) -> Tensor:
    """Euler steps, as many as there are depths, guided on all channels."""
    x, steps = noise, len(depths)
    null = torch.full_like(labels, CONFIG["num_classes"])
    for i, active in enumerate(depths):
        t = torch.full(labels.shape, i / steps)
        s = torch.full(labels.shape, math.log2(steps)).int()
        plain, without = (model(x, t, s, label, active) for label in (labels, null))
        x = x + (without + SCALE * (plain - without)) / steps
    return x


@torch.no_grad()
def compute(weights: dict[str, Tensor], noise: Tensor, labels: Tensor) -> dict[str, Tensor]:
    model = Model(weights)
    t, s = torch.tensor([0.25, 0.8125]), torch.tensor([2, 6])
    found = {f"forward.{active}": model(noise, t, s, labels, active) for active in DEPTHS}
    found |= {f"sample.full.{steps}": sample(model, noise, labels, [7] * steps) for steps in (1, 4, 8)}
    return found | {"sample.mixed.4": sample(model, noise, labels, [7, 3, 5, 7])}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["make", "check"])
    if parser.parse_args().verb == "make":
        weights = make_weights()
        noise = torch.randn((2, C, 8, 8), generator=torch.Generator().manual_seed(17))
        labels = torch.tensor([3, 1])
        found = compute(weights, noise, labels)
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
        save_file(weights, FOLDER / "weights.safetensors")
        golden = {"noise": noise, "labels": labels.float()} | found
        save_file({name: tensor.contiguous() for name, tensor in golden.items()}, FOLDER / "golden.safetensors")
        return
    assert read_json("odelt/config.json") == CONFIG
    golden, report = load("odelt/golden.safetensors"), Report()
    for name, tensor in compute(load("odelt/weights.safetensors"), golden["noise"], golden["labels"].int()).items():
        report.add(name, tensor, golden[name])
    report.exit()


if __name__ == "__main__":
    main()
