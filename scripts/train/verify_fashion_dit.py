"""Proves that the definition in fashion_dit.py is the original DiT, by published weights and numbers.

    python3 scripts/train/verify_fashion_dit.py models/fashion-dit/weights.safetensors \\
        tests/golden/fashion-dit/golden.safetensors

Loads the weights (same names, shapes, dtypes), compares the computed position table with the stored one, and
`forward.output` of the golden file with the output for the first rows of `calibration.noise` and `calibration.label`
at `forward.t`, in float32. Give only the weights to check no more than that they load.
"""

import argparse
import json
import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fashion_dit import Config, DiT

DTYPES = {"F16": np.float16, "F32": np.float32, "I64": np.int64}
TOLERANCE = 4e-6  # of max |output|: same framework and order; gelu with erf would be 1.1e-4, eps 1e-5 7e-6
HALF_PRECISION = 2**-11  # numbers in [-1, 1] stored as fp16


def read_safetensors(path: Path) -> dict[str, Tensor]:
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        numbers = np.frombuffer(content[begin:end], DTYPES[entry["dtype"]])
        tensors[name] = torch.from_numpy(numbers.reshape(entry["shape"]).copy())
    return tensors


def load(path: Path) -> DiT:
    """The model with the weights of a file; fails unless names, shapes and dtypes are exact."""
    weights = read_safetensors(path)
    dtypes = {weight.dtype for weight in weights.values()}
    if dtypes != {torch.float16}:
        raise SystemExit(f"Cannot verify {path}: dtypes must be float16: current value is {dtypes}")
    model = DiT(Config()).eval()
    error = (weights["pos_embed"].float() - model.pos_embed).abs().max().item()
    print(f"{len(weights)} tensors; computed against stored pos_embed: {error:.1e}, allowed {HALF_PRECISION:.1e}")
    if error > HALF_PRECISION:
        raise SystemExit(1)
    model.load_state_dict({name: weight.float() for name, weight in weights.items()}, strict=True)
    return model


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the DiT definition with published numbers.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("golden", type=Path, nargs="?")
    args = parser.parse_args()
    model = load(args.weights)
    if args.golden is None:
        return
    golden = read_safetensors(args.golden)
    t, wanted = golden["forward.t"], golden["forward.output"]
    output = model(golden["calibration.noise"][: len(t)], t, golden["calibration.label"][: len(t)])
    error = ((output - wanted).abs().max() / wanted.abs().max()).item()
    print(f"forward.output: {error:.1e} x max, allowed {TOLERANCE:.1e}")
    raise SystemExit(0 if error <= TOLERANCE else 1)


if __name__ == "__main__":
    main()
