"""Computes a guided run of `dit-a` whose partial steps compute some tokens of MLPs, as ProCache's code does it.

    pip install torch==2.13.0 diffusers==0.42.1 transformers numpy
    python3 scripts/golden/partial_tokens.py make|check

Written after the rule of macovaseas/ProCache 13d19c3 (`cache_functions`, which is ToCa's), on the original's model in
scripts/train/fashion_dit.py. Symbols of steps are ProCache's: 1 computes everything, 0 reuses both modules of all
layers, 2 reuses all attentions, and of MLPs computes shares of tokens in the layers that have any.
"""

import argparse
import json

import torch
from compare import GOLDEN, Report, load, read_json
from dit import DiT, open_model, sample
from fashion_dit import modulate
from torch import Tensor
from torch.nn import functional as F

FILE = GOLDEN / "policies/partial_tokens.json"
SYMBOLS = [1, 0, 2, 2, 1, 2, 0, 2, 2, 1, 2, 2]
PICTURES, SCALE = 2, 4.0
# The score of a token: what it is attended to, its age over `fresh_threshold`, a bonus in each cell of the grid.
AGE_WEIGHT, FRESH_THRESHOLD, BONUS, CELL = 0.25, 4, 0.6, 2


def share(step: int, layer: int) -> float:
    """Some shares that grow as ProCache's do, from none on."""
    return max(0.0, -0.2 + 0.15 * layer + 0.08 * step)


class Partial:
    """A model that follows the symbols from call to call."""

    def __init__(self, model: DiT) -> None:
        self.model, self.config, self.step = model, model.config, 0
        self.kept: dict[tuple[str, int], Tensor] = {}
        self.ages: dict[int, Tensor] = {}
        self.chosen: list[dict] = []

    def __call__(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        model = self.model
        h = model.x_embedder(x) + model.pos_embed
        c = model.t_embedder(t) + model.y_embedder(label)
        for layer, block in enumerate(model.blocks):
            rows = block.adaLN_modulation(c).chunk(6, dim=1)
            h = self.attention(h, layer, block, rows[:3])
            h = self.mlp(h, layer, block, rows[3:])
        self.step += 1
        return model.unpatchify(model.final_layer(h, c))

    def attention(self, h: Tensor, layer: int, block, rows: tuple[Tensor, ...]) -> Tensor:
        shift, scale, gate = rows
        if SYMBOLS[self.step] == 1:
            x = modulate(block.norm(h), shift, scale)
            self.kept["attn", layer] = block.attn(x)
            n, tokens, width = x.shape
            heads = block.attn.heads
            qkv = block.attn.qkv(x).view(n, tokens, 3, heads, width // heads)
            q, k, _ = qkv.permute(2, 0, 3, 1, 4)
            weights = (q @ k.transpose(-2, -1) * (width // heads) ** -0.5).softmax(dim=-1)
            self.kept["map", layer] = weights.mean(dim=1)  # over heads: (N, T, T)
        return h + gate[:, None] * self.kept["attn", layer]

    def mlp(self, h: Tensor, layer: int, block, rows: tuple[Tensor, ...]) -> Tensor:
        shift, scale, gate = rows
        symbol, part = SYMBOLS[self.step], share(self.step, layer)
        if symbol == 1:
            self.kept["mlp", layer] = block.mlp(modulate(block.norm(h), shift, scale))
            self.ages[layer] = torch.zeros(h.shape[:2])
        elif symbol == 2 and layer > 0:
            indices = self.choose(layer, part)
            self.chosen.append({"step": self.step, "layer": layer, "tokens": indices.sort(dim=1)[0].tolist()})
            at = indices[..., None].expand(-1, -1, h.shape[-1])
            fresh = block.mlp(modulate(block.norm(h.gather(1, at)), shift, scale))
            self.kept["mlp", layer] = self.kept["mlp", layer].scatter(1, at, fresh)
        return h + gate[:, None] * self.kept["mlp", layer]

    def choose(self, layer: int, part: float) -> Tensor:
        """Indices `(N, count)` of the tokens that are computed."""
        attended = F.normalize(self.kept["map", layer].sum(dim=1), dim=1, p=2)
        ages = self.ages[layer]
        score = attended + AGE_WEIGHT * (ages / FRESH_THRESHOLD)
        n, tokens = score.shape
        side = int(tokens**0.5)
        cells = score.view(n, side // CELL, CELL, side // CELL, CELL).transpose(2, 3)
        cells = cells.reshape(n, side // CELL, side // CELL, CELL * CELL).clone()
        best, where = cells.max(dim=-1, keepdim=True)
        cells.scatter_(-1, where, best * (1 + BONUS))
        cells = cells.view(n, side // CELL, side // CELL, CELL, CELL).transpose(2, 3)
        score = cells.reshape(n, tokens)
        count = int(min(max(part, 0), 1) * tokens)
        indices = score.argsort(dim=-1, descending=True)[:, :count]
        self.ages[layer] = (ages + 1).scatter(1, indices, 0.0)
        return indices


@torch.no_grad()
def compute() -> dict:
    golden = load("dit-a/golden.safetensors")
    noise, labels = golden["sample.noise"][:PICTURES], golden["sample.label"][:PICTURES]
    model = Partial(open_model("dit-a"))
    latents = sample(model, noise, labels, steps=len(SYMBOLS), scale=SCALE)
    return {
        "symbols": SYMBOLS,
        "shares": [[share(step, layer) for layer in range(3)] for step in range(len(SYMBOLS))],
        "tokenScore": {"attention": 1, "age": AGE_WEIGHT / FRESH_THRESHOLD, "bonus": BONUS, "cell": CELL},
        "chosen": model.chosen,
        "latents": [float(f"{number:.7g}") for number in latents.flatten().tolist()],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["make", "check"])
    verb, found = parser.parse_args().verb, compute()
    if verb == "make":
        FILE.write_text(json.dumps(found) + "\n")
        return
    report, stored = Report(), read_json("policies/partial_tokens.json")
    report.add("latents", torch.tensor(found["latents"]), torch.tensor(stored["latents"]))
    for made, kept in zip(found["chosen"], stored["chosen"], strict=True):
        if made != kept:
            report.missed += 1
            print(f"tokens of step {kept['step']}, layer {kept['layer']}: MISSED")
    report.exit()


if __name__ == "__main__":
    main()
