"""Trains Learning-to-Cache's routers for fashion-dit, as `plan import --policy learning-to-cache` reads them.

    apt install dataset-fashion-mnist
    pip install torch==2.13.0 numpy
    python3 scripts/train/learning_to_cache.py --out dist/router.pt
    deno task plan import dist/router.pt --policy learning-to-cache --model models/fashion-dit --steps 20 --out l2c.json

Every second step of a run is computed in full; at the one after it a router says of each module whether it is computed
or its feature of the step before is merged again. Such a pair of steps is trained alone: a picture with the noise of
the first, a step of DDIM computed in full, then the second twice, once in full and once with each module's feature
mixed of both kinds, by weights that are trained until nearly all of them are 0 or 1. The model stays as it is.

Of one batch each picture has a pair of its own, so that all routers learn at each iteration; one of 32 takes about a
second on a CPU core. Whether it pays on fashion-dit is in `src/calibrate/policies/README.md`.

Source: arXiv 2406.01733 and its published code (horseee/learning-to-cache), DiT: initialisation, limits, loss and
label dropout. There the loss of a computed module is 1e-6 to 5e-6 for a model of 56 modules.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fashion_dit import DATA, Diffusion, DiT, batches, modulate, read_pictures
from verify_fashion_dit import load

LIMIT = 5.0  # of what the sigmoid is taken
EARLY_RATE = 0.1  # of the learning rate at the end, after a cosine


class Router(nn.Module):
    """Of each module, attention and MLP in turn, what says whether it is computed, before a sigmoid."""

    def __init__(self, modules: int) -> None:
        super().__init__()
        self.prob = nn.Parameter(torch.randn(modules))


def forward(
    model: DiT, x: Tensor, t: Tensor, label: Tensor, mix: tuple[Tensor, list[Tensor]] | None = None
) -> tuple[Tensor, list[Tensor]]:
    """The model's output and the features of its modules, before their gates: fresh, or mixed with earlier ones.

    `mix` is how much is fresh (N, modules), and the features (N, T, D) of another step.
    """
    h = model.x_embedder(x) + model.pos_embed  # (N, T, D)
    c = model.t_embedder(t) + model.y_embedder(label)  # (N, D)
    features: list[Tensor] = []

    def merged(fresh: Tensor) -> Tensor:
        if mix is not None:
            share = mix[0][:, len(features), None, None]
            fresh = share * fresh + (1 - share) * mix[1][len(features)]
        features.append(fresh)
        return fresh

    for block in model.blocks:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = block.adaLN_modulation(c).chunk(6, dim=1)
        h = h + gate_a[:, None] * merged(block.attn(modulate(block.norm(h), shift_a, scale_a)))
        h = h + gate_m[:, None] * merged(block.mlp(modulate(block.norm(h), shift_m, scale_m)))
    return model.unpatchify(model.final_layer(h, c)), features


def times_of(steps: int) -> Tensor:
    """Times of so many steps, falling, as the original DDIM spaces them."""
    return torch.from_numpy(np.round(np.linspace(Diffusion.STEPS - 1, 0, steps)).astype(np.int64))


def pair_loss(model: DiT, routers: list[Router], start: Tensor, label: Tensor, diffusion: Diffusion) -> Tensor:
    """Mean squared error of the second step's output, both halves of it, each picture at a pair of its own."""
    times = times_of(len(routers))
    first = 2 * torch.randint(len(routers) // 2, label.shape)  # in the order of the run: even steps are in full
    noise = torch.randn_like(start)

    def at(values: Tensor, t: Tensor) -> Tensor:
        return values[t].view(-1, 1, 1, 1)

    now, later = times[first], times[first + 1]
    with torch.no_grad():
        x = at(diffusion.signal, now) * start + at(diffusion.noise, now) * noise
        output, stored = forward(model, x, now, label)
        epsilon = output.chunk(2, dim=1)[0]
        clean = (x - at(diffusion.noise, now) * epsilon) / at(diffusion.signal, now)
        x = at(diffusion.signal, later) * clean + at(diffusion.noise, later) * epsilon
        wanted, _ = forward(model, x, later, label)
    table = torch.stack([router.prob for router in routers]).sigmoid()  # files count routers from the last step
    share = table[len(routers) - 2 - first]
    made, _ = forward(model, x, later, label, (share, stored))
    return F.mse_loss(made, wanted)


def train(args: argparse.Namespace) -> nn.ModuleList:
    if args.steps % 2:
        raise SystemExit(f"Cannot train: --steps must be even: current value is {args.steps}")
    torch.manual_seed(args.seed)
    model = load(args.weights).requires_grad_(False)
    diffusion = Diffusion(torch.device("cpu"))
    routers = nn.ModuleList(Router(2 * model.config.depth) for _ in range(args.steps))
    used = [routers[i] for i in range(0, args.steps, 2)]  # of the second steps, counted from the last
    optimizer = torch.optim.AdamW([router.prob for router in used], lr=args.rate, weight_decay=0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.iterations, EARLY_RATE * args.rate)
    source = batches(*read_pictures(args.data), args.batch)
    begin = time.monotonic()
    for iteration in range(args.iterations):
        start, label = next(source)
        error = pair_loss(model, list(routers), start, label, diffusion)
        computed = torch.stack([router.prob for router in used]).sigmoid().sum()
        optimizer.zero_grad(set_to_none=True)
        (error + args.price * computed / len(used)).backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for router in used:
                router.prob.clamp_(-LIMIT, LIMIT)
        if (iteration + 1) % args.report == 0 or iteration + 1 == args.iterations:
            pace = (time.monotonic() - begin) / (iteration + 1)
            told = f"mse {error.item():.2e}  computed {computed.item():.1f} of {2 * model.config.depth * len(used)}"
            print(f"{iteration + 1}/{args.iterations}  {told}  {pace:.2f} s/iteration", flush=True)
    return routers


def main() -> None:
    parser = argparse.ArgumentParser(description="Train Learning-to-Cache's routers for fashion-dit.")
    parser.add_argument("--out", type=Path, required=True, help="the checkpoint, .pt")
    parser.add_argument("--weights", type=Path, default=Path("models/fashion-dit/weights.safetensors"))
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the idx files")
    parser.add_argument("--steps", type=int, default=20, help="of the runs, an even number")
    parser.add_argument("--iterations", type=int, default=400)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.05, help="learning rate")
    parser.add_argument("--price", type=float, default=1e-4, help="what a computed module adds to the squared error")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=int, default=25, help="iterations per printed line")
    args = parser.parse_args()
    routers = train(args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    told = {name: str(value) for name, value in vars(args).items()}
    torch.save({"routers": routers.state_dict(), "args": told}, args.out)


if __name__ == "__main__":
    main()
