"""Recomputes the goldens of DiT from their stored inputs, within 1e-4 of the largest number; 1 on a miss.

    pip install torch==2.13.0 diffusers==0.42.1 transformers numpy
    python3 scripts/golden/dit.py

The original DiT (facebookresearch/DiT) is no package: its model stands in scripts/train/fashion_dit.py, its sampler
below. The diffusers pipeline is diffusers' own.
"""

import sys

import torch
from compare import GOLDEN, ROOT, Report, load, read_json
from diffusers import AutoencoderKL, DDIMScheduler, DiTTransformer2DModel
from invardiff import DIT as RULE
from invardiff import Parts, check_book, recorded
from safetensors.torch import load_file
from torch import Tensor

sys.path.insert(0, str(ROOT / "scripts/train"))
from fashion_dit import Config, DiT  # noqa: E402

EXACT = {"torch_dtype": torch.float32, "low_cpu_mem_usage": False}
MODELS = {
    "dit-a": ("tests/golden/dit-a/weights.safetensors", ["dit-a-published", "dit-a-layers"]),
    "fashion-dit": ("models/fashion-dit/weights.safetensors",
                    ["fashion-dit-fast", "fashion-dit-slow", "fashion-dit-layers"]),
}


def open_model(name: str) -> DiT:
    config = Config() if name == "fashion-dit" else Config(**read_json(f"{name}/config.json"))
    model = DiT(config).eval()
    weights = load_file(ROOT / MODELS[name][0])
    model.load_state_dict({key: weight.float() for key, weight in weights.items()})
    return model


def spaced(steps: int) -> Tensor:
    """`steps` of 1000 times, first and last among them, in inference order."""
    stride = 999 / (steps - 1)
    return torch.tensor([round(stride * step) for step in range(steps)]).flip(0)


def ddim(predict, x: Tensor, steps: int) -> Tensor:
    """DDIM without noise and clipping; `predict(x, t)` gives epsilon. Tables in float64, used in float32."""
    kept = (1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)).cumprod(0)  # alpha bar
    times = spaced(steps)
    after = torch.cat([kept[times[1:]], torch.ones(1, dtype=torch.float64)])
    for t, now, then in zip(times, kept[times], after, strict=True):
        epsilon = predict(x, t)
        start = (1 / now).sqrt().float() * x - (1 / now - 1).sqrt().float() * epsilon
        x = then.sqrt().float() * start + (1 - then).sqrt().float() * epsilon
    return x


def sample(model: DiT, noise: Tensor, label: Tensor, *, steps: int, scale: float) -> Tensor:
    """Guided as the original's `forward_with_cfg`: both halves see one latent, three channels are guided."""
    labels = torch.cat([label, torch.full_like(label, model.config.num_classes)])

    def predict(x: Tensor, t: Tensor) -> Tensor:
        half = x[: len(x) // 2]
        output = model(torch.cat([half, half]), t.expand(len(x)), labels)
        conditional, unconditional = output[:, :3].chunk(2)
        guided = unconditional + scale * (conditional - unconditional)
        output = torch.cat([torch.cat([guided, guided]), output[:, 3:]], dim=1)
        return output[:, : x.shape[1]]

    return ddim(predict, torch.cat([noise, noise]), steps).chunk(2)[0]


def parts_of(model: DiT) -> Parts:
    modules = [((kind,), column, getattr(block, kind)) for kind in ("attn", "mlp")
               for column, block in enumerate(model.blocks)]
    return Parts(model.final_layer, modules)


def check_original(name: str, report: Report) -> None:
    golden, facts = load(f"{name}/golden.safetensors"), read_json(f"{name}/golden.json")
    model, steps = open_model(name), facts["steps"]
    t = golden["forward.t"]
    rows = slice(0, len(t))
    noise, label = golden["calibration.noise"], golden["calibration.label"]
    report.add(f"{name} forward.output", model(noise[rows], t, label[rows]), golden["forward.output"])
    report.add(f"{name} timesteps", spaced(steps), golden["timesteps"])

    def draw() -> Tensor:
        return sample(model, golden["sample.noise"], golden["sample.label"], steps=steps, scale=facts["cfg_scale"])

    report.add(f"{name} sample.full", draw(), golden["sample.full"])
    parts, runs = parts_of(model), []
    for row in range(len(label)):  # calibration is not guided
        one = slice(row, row + 1)
        with recorded(parts) as features:
            ddim(lambda x, t, one=one: model(x, t.expand(1), label[one])[:, : x.shape[1]], noise[one], steps)
        runs.append(features)
    for book in MODELS[name][1]:
        check_book(book, parts, variant=RULE, runs=runs, sample=draw, report=report)


def check_transformer(report: Report) -> None:
    """diffusers' DiT divides the exponents of its frequencies by half - 1, the original by half."""
    name = "dit-a-diffusers"
    inputs, golden = load("dit-a/golden.safetensors"), load(f"{name}/golden.safetensors")
    folder = GOLDEN / name
    model = DiTTransformer2DModel.from_pretrained(folder / "transformer", **EXACT).eval()
    scheduler = DDIMScheduler.from_pretrained(folder / "scheduler")
    t = inputs["forward.t"]
    given = (inputs["calibration.noise"][: len(t)], t, inputs["calibration.label"][: len(t)])
    report.add(f"{name} forward.output_diffusers", model(*given).sample, golden["forward.output_diffusers"])

    facts, noise, label = read_json("dit-a/golden.json"), inputs["sample.noise"], inputs["sample.label"]
    labels = torch.cat([label, torch.full_like(label, model.config.num_embeds_ada_norm)])  # DiTPipeline: always 1000
    scheduler.set_timesteps(facts["steps"])
    report.add(f"{name} timesteps", scheduler.timesteps, golden["timesteps"])
    x = noise
    for t in scheduler.timesteps:
        output = model(torch.cat([x, x]), t.expand(len(labels)), labels).sample[:, : x.shape[1]]
        conditional, unconditional = output.chunk(2)
        x = scheduler.step(unconditional + facts["cfg_scale"] * (conditional - unconditional), t, x).prev_sample
    report.add(f"{name} sample.diffusers", x, golden["sample.diffusers"])
    original = open_model("dit-a")  # the same weights
    report.add(f"{name} forward.output_original", original(*given), golden["forward.output_original"])


def check_autoencoder(name: str, report: Report) -> None:
    golden = load(f"{name}/golden.safetensors")
    vae = AutoencoderKL.from_pretrained(GOLDEN / name, **EXACT).eval()
    for suffix in ("", ".rect"):
        report.add(f"{name} image{suffix}", vae.decode(golden[f"latent{suffix}"]).sample, golden[f"image{suffix}"])
    report.add(f"{name} encode.mean", vae.encode(golden["encode.image"]).latent_dist.mean, golden["encode.mean"])


@torch.no_grad()
def main() -> None:
    report = Report()
    for name in MODELS:
        check_original(name, report)
    check_transformer(report)
    for name in ("dit-a-diffusers/vae", "dit-a-diffusers/vae-16"):
        check_autoencoder(name, report)
    report.exit()


if __name__ == "__main__":
    main()
