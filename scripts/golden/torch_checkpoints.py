"""Writes the checkpoints that tests/assets read, by PyTorch itself, and what is in them.

    pip install torch==2.13.0 numpy
    python3 scripts/golden/torch_checkpoints.py tests/golden/torch

`golden.json` has dims and numbers (as float32) of every tensor by file and name. `malicious.pt` would run a
command in a reader that executes what pickles say; nothing in it is executed by writing it.
"""

import argparse
import json
import os
import sys
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor, nn


class Malicious:
    """Asks a careless reader to run a command."""

    def __reduce__(self):
        return os.system, ("touch executed-by-a-pickle",)


def plain() -> dict[str, Tensor]:
    """As `state_dict()` gives it: an OrderedDict with `_metadata`."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.Conv2d(2, 3, 2), nn.LayerNorm(5)).state_dict()


def types() -> dict[str, Tensor]:
    numbers = torch.tensor([0.0, -1.5, 3.1415926535, 65504.0, 1e-7, -0.1]).double()
    return {
        "double": numbers * 1.000000123,
        "float": numbers.float().reshape(2, 3),
        "half": numbers.half(),
        "bfloat": numbers.bfloat16(),
        "long": torch.tensor([1, -2, 2**40]),
        "bool": torch.tensor([True, False]),
    }


def float8() -> dict[str, Tensor]:
    """Every finite number of both types: PyTorch has no storages of them, it writes bytes and the type beside."""
    patterns = torch.arange(256, dtype=torch.uint8)
    every = {"e4m3": patterns.view(torch.float8_e4m3fn), "e5m2": patterns.view(torch.float8_e5m2)}
    finite = {name: patterns[t.float().isfinite()].view(t.dtype) for name, t in every.items()}
    return {**finite, "columns": finite["e4m3"][:12].reshape(3, 4).T}


def views() -> dict[str, Tensor]:
    base = torch.arange(24.0)
    grid = base.reshape(4, 6)
    cube = torch.arange(48.0).half().reshape(2, 3, 2, 4)
    return {
        "base": base,
        "rows": grid[1:3],
        "columns": grid[:, 2:5],
        "transposed": grid.T,
        "every_other": base[1::2],
        "permuted": cube.permute(3, 0, 2, 1),
        "cut": cube[:, 1:, :, ::2],
        "unit": grid[:, :1].T,
        "scalar": base[7],
        "empty": base[3:3].reshape(0, 4),
        "overlapping": base.as_strided((3, 4), (2, 1)),
    }


def training() -> dict[str, object]:
    """What DiT's train.py saves: the weights, their average, the optimizer, the command line."""
    torch.manual_seed(2)
    model, ema = nn.Linear(3, 2), nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    args = argparse.Namespace(
        data_path="/data", model="DiT-XL/2", image_size=256, num_classes=1000, epochs=1400, global_seed=0,
        vae="ema", ratio=0.5, flag=True, nothing=None, large=2**62,
    )
    return {"model": model.state_dict(), "ema": ema.state_dict(), "opt": optimizer.state_dict(), "args": args}


def golden(tensors: dict[str, Tensor]) -> dict[str, object]:
    floats = {name: tensor.detach().float() for name, tensor in tensors.items() if tensor.is_floating_point()}
    return {name: {"dims": list(t.shape), "numbers": t.reshape(-1).tolist()} for name, t in floats.items()}


def main(folder: str) -> None:
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    expected = {}

    def save(name: str, content: object, tensors: dict[str, Tensor], **options: object) -> None:
        torch.save(content, out / name, **options)
        expected[name] = golden(tensors)

    save("plain.pt", plain(), plain())
    save("types.pt", types(), types())
    save("float8.pt", float8(), float8())
    save("views.pt", views(), views())
    parameters = OrderedDict((name, nn.Parameter(tensor)) for name, tensor in plain().items())
    save("parameters.pt", parameters, parameters)
    save("training.pt", training(), training()["ema"])
    for protocol in range(2, 6):
        save(f"protocol{protocol}.pt", plain(), plain(), pickle_protocol=protocol)
    torch.save({"x": torch.ones(2), "y": Malicious()}, out / "malicious.pt")
    torch.save({"x": torch.ones(1).expand(1000)}, out / "expanded.pt")
    torch.save({"x": torch.ones(2, dtype=torch.complex64)}, out / "complex.pt")
    torch.save(plain(), out / "legacy.pt", _use_new_zipfile_serialization=False)
    (out / "golden.json").write_text(json.dumps({"torch": torch.__version__, "files": expected}, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
