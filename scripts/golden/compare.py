"""What the checks of this folder share: stored tensors are read, recomputed ones compared with them."""

import json
import sys
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden"
ALLOWED = 1e-4  # of the largest stored number


def load(path: str | Path) -> dict[str, Tensor]:
    """Tensors of a file under tests/golden; halves as float32, which is exact."""
    tensors = load_file(GOLDEN / path)
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def read_json(path: str | Path) -> dict:
    return json.loads((GOLDEN / path).read_text())


class Report:
    """Prints one line for each tensor and remembers whether all were near enough."""

    def __init__(self) -> None:
        self.missed = 0

    def add(self, name: str, found: Tensor, stored: Tensor) -> None:
        if found.shape != stored.shape:
            error = float("inf")
        else:
            found, stored = found.double(), stored.double()
            error = ((found - stored).abs().max() / stored.abs().max().clamp(min=1e-30)).item()
        near = error <= ALLOWED  # NaN is not
        self.missed += not near
        print(f"{name}: {error:.1e} × max, {'ok' if near else 'MISSED'}", flush=True)

    def exit(self) -> None:
        if self.missed:
            sys.exit(f"{self.missed} tensors are not what is stored, within {ALLOWED} of the largest number")
