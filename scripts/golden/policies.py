"""What methods of the field compute, by transcriptions of their rules, and a file of the form that one publishes.

    pip install torch==2.13.0 diffusers==0.42.1 transformers numpy
    python3 scripts/golden/policies.py make
    python3 scripts/golden/policies.py check

`ratios.json`: how the magnitude of the trunk's residual changes over the guided run of `dit-a`, as diffusers'
MagCacheHook measures it (mean over tokens of the norm over that of the step before).
`router-20.pt`: a router of the form of Learning-to-Cache's `DDIM20_router.pt`, with as many modules to compute at each
step as that has; which ones, and the numbers, are ours.
"""

import argparse
import json
import sys
from argparse import Namespace
from collections import OrderedDict

import torch
from compare import GOLDEN, Report, load, read_json
from dit import open_model, sample
from torch import Tensor

FOLDER = GOLDEN / "policies"
LAYERS = 28
# By reuse step of 20, noisiest first: modules that are computed, of attention and of the MLP.
COMPUTED = [(0, 0), (0, 0), (2, 2), (3, 5), (17, 9), (26, 27), (27, 28), (27, 28), (27, 28), (28, 28)]


def magnitude_ratios() -> list[float]:
    model, facts, golden = open_model("dit-a"), read_json("dit-a/golden.json"), load("dit-a/golden.safetensors")
    embedded: list[Tensor] = []
    hidden: list[Tensor] = []
    model.blocks[0].register_forward_pre_hook(lambda _module, inputs: embedded.append(inputs[0]))
    model.final_layer.register_forward_pre_hook(lambda _module, inputs: hidden.append(inputs[0]))
    sample(model, golden["sample.noise"], golden["sample.label"], steps=facts["steps"], scale=facts["cfg_scale"])
    norms = [(out - before).float().norm(dim=-1) for out, before in zip(hidden, embedded, strict=True)]
    return [1.0, *((now / (before + 1e-8)).mean().item() for before, now in zip(norms, norms[1:]))]


def router() -> dict:
    """Routers are counted from the last step; those of full steps were never trained."""
    torch.manual_seed(20)
    routers = OrderedDict()
    for index in range(20):
        step = 19 - index
        prob = torch.randn(2 * LAYERS)
        if step % 2 == 1:
            attn, mlp = COMPUTED[step // 2]
            order = torch.randperm(LAYERS)
            prob = torch.full((2 * LAYERS,), -5.0)
            prob[2 * order[:attn]] = 1.0
            prob[2 * order[:mlp] + 1] = 1.0
        routers[f"{index}.prob"] = prob
    return {"routers": routers, "opt": {"state": {}, "param_groups": []}, "args": Namespace(steps=20)}


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["make", "check"])
    ratios = magnitude_ratios()
    if parser.parse_args().verb == "make":
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / "ratios.json").write_text(json.dumps(ratios) + "\n")
        torch.save(router(), FOLDER / "router-20.pt")
        return
    report = Report()
    report.add("ratios", torch.tensor(ratios), torch.tensor(read_json("policies/ratios.json")))
    report.exit()


if __name__ == "__main__":
    sys.exit(main())
