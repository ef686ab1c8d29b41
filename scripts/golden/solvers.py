"""Makes or checks what diffusers' schedulers compute, tests/golden/solvers.

    pip install torch==2.13.0 diffusers==0.42.1 transformers scipy numpy
    python3 scripts/golden/solvers.py make    writes the files anew
    python3 scripts/golden/solvers.py check   recomputes what is stored, within 1e-4 of the largest number

schedulers.json has a row for each scheduler, configuration and number of model calls: its times, and where it takes
START. The model is the exact prediction for pictures that are normal with mean 0.1 and deviation 0.5, which is
linear in the latent, so that the rows say something of the solver alone. models.safetensors has latents of small
models with weights, and of fashion-dit and peeps-flux, under some of these schedulers.
"""

import json
import math
import sys

import torch
from compare import GOLDEN, ROOT, Report, load, read_json
from diffusers import (
    DDIMScheduler,
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    HeunDiscreteScheduler,
    UniPCMultistepScheduler,
)
from safetensors.torch import load_file, save_file
from torch import Tensor

FOLDER = GOLDEN / "solvers"
START = [-1.5, 0.25, 2.0]
MEAN, VARIANCE = 0.1, 0.25
CLASSES = {
    kind.__name__: kind
    for kind in (DDIMScheduler, DEISMultistepScheduler, DPMSolverMultistepScheduler, FlowMatchHeunDiscreteScheduler,
                 HeunDiscreteScheduler, UniPCMultistepScheduler)
}
BETAS = {"beta_start": 0.0001, "beta_end": 0.02}
DPM, UNIPC, DEIS, HEUN = (name for name in ("DPMSolverMultistepScheduler", "UniPCMultistepScheduler",
                                           "DEISMultistepScheduler", "HeunDiscreteScheduler"))
BH1 = {"solver_type": "bh1", "final_sigmas_type": "sigma_min"}  # with "zero" diffusers multiplies infinity by 0
MULTISTEP = [(DPM, {}), (DPM, {"solver_order": 3}), (UNIPC, {}), (UNIPC, {"solver_order": 3}),
             (UNIPC, BH1), (UNIPC, {**BH1, "solver_order": 3}),
             (DEIS, {}), (DEIS, {"solver_order": 3})]
SPACINGS = [{"timestep_spacing": kind} for kind in ("leading", "trailing", "linspace")] + [
    {f"use_{kind}_sigmas": True} for kind in ("karras", "exponential", "beta")]
FLOW = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}


def configurations():
    """Class, configuration and calls of each row."""
    for kind, own in MULTISTEP:
        for spacing in SPACINGS:
            few = 10 if "use_beta_sigmas" in spacing else 6  # in 6, beta's last interval costs float32 four digits
            for steps in (few, 20):
                yield kind, {**own, **spacing}, steps
        for prediction in ("v_prediction", "sample"):
            yield kind, {**own, "prediction_type": prediction}, 8
        yield kind, {**own, "beta_schedule": "scaled_linear", "timestep_spacing": "leading", "steps_offset": 1}, 9
        for steps in (1, 2, 3):
            if steps > 1 or kind != DEIS:  # which then is left with noise alone
                yield kind, own, steps
    for order in (2, 3):
        for steps in (6, 20):
            yield DPM, {"solver_order": order, "use_lu_lambdas": True}, steps
            for kind in (DPM, UNIPC):
                yield kind, {"solver_order": order, "final_sigmas_type": "sigma_min"}, steps
    for spacing in SPACINGS:
        for steps in (7, 21):
            yield HEUN, {**BETAS, **spacing}, steps
    for prediction in ("v_prediction", "sample"):
        yield HEUN, {**BETAS, "prediction_type": prediction, "timestep_spacing": "trailing"}, 9
        for spacing in ("leading", "trailing"):
            own = {"prediction_type": prediction, "timestep_spacing": spacing, "clip_sample": False}
            yield "DDIMScheduler", own, 10
    for shift in (1.0, 3.0):
        for steps in (5, 20):
            for order in (2, 3):
                yield DPM, {**FLOW, "solver_order": order, "flow_shift": shift}, steps
                yield UNIPC, {**FLOW, "solver_order": order, "flow_shift": shift}, steps
        yield "FlowMatchHeunDiscreteScheduler", {"shift": shift}, 13
    yield UNIPC, {**FLOW, "use_dynamic_shifting": True}, 10


MU_TOKENS = 500


def scheduler_of(kind: str, config: dict, calls: int):
    scheduler = CLASSES[kind](**config)
    steps = (calls + 1) // 2 if "Heun" in kind else calls
    given = {"mu": 0.5 + (MU_TOKENS - 256) * 0.65 / 3840} if config.get("use_dynamic_shifting") else {}
    scheduler.set_timesteps(steps, **given)
    return scheduler


def exact(x: Tensor, time: float, prediction: str) -> Tensor:
    """The prediction for normal pictures; the share of the picture falls as with linear betas, but smoothly."""
    if prediction == "velocity":
        alpha, sigma = 1 - time / 1000, time / 1000
    else:
        share = math.exp(-(1e-4 * time + 0.0199 * time**2 / 2000))
        alpha, sigma = math.sqrt(share), math.sqrt(1 - share)
    x = x.double()
    spread = sigma**2 + alpha**2 * VARIANCE
    noise = sigma * (x - alpha * MEAN) / spread
    picture = MEAN + alpha * VARIANCE * (x - alpha * MEAN) / spread
    found = {"epsilon": noise, "sample": picture, "v_prediction": alpha * noise - sigma * picture,
             "velocity": noise - picture}[prediction]
    return found.float()


def drive(scheduler, predict, x: Tensor) -> Tensor:
    """A run; Heun's latents are larger than what its model sees, as much as they are noisier than 1."""
    if isinstance(scheduler, HeunDiscreteScheduler):  # its model then sees noise of strength 1, as with the others
        x = x * (scheduler.sigmas[0] ** 2 + 1) ** 0.5
    if isinstance(scheduler, DEISMultistepScheduler):  # in float32 its coefficients are wrong by up to 3 %
        x, scheduler.sigmas = x.double(), scheduler.sigmas.double()
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        x = scheduler.step(predict(seen.float(), t).to(x), t, x).prev_sample
    return x.float()


def row_of(kind: str, config: dict, calls: int) -> dict:
    scheduler = scheduler_of(kind, config, calls)
    flows = kind.startswith("FlowMatch") or config.get("use_flow_sigmas", False)
    prediction = "velocity" if flows else config.get("prediction_type", "epsilon")
    found = drive(scheduler, lambda x, t: exact(x, float(t), prediction), torch.tensor([[START]]))
    times = [round(float(t), 4) for t in scheduler.timesteps]
    latents = [float(f"{value:.7g}") for value in found.flatten().tolist()]
    return {"class": kind, "config": config, "calls": calls, "times": times, "latents": latents}


def rows() -> list[dict]:
    return [row_of(*configuration) for configuration in configurations()]


MODEL_RUNS = [
    ("unipc", UNIPC, {}, 10),
    ("dpmpp-3m.log-snr", DPM, {"solver_order": 3, "use_lu_lambdas": True}, 12),
    ("deis-3.trailing", DEIS, {"solver_order": 3, "timestep_spacing": "trailing"}, 10),
    ("heun", HEUN, BETAS, 11),
]
FLOW_RUNS = [
    ("flow-unipc", UNIPC, {**FLOW, "use_dynamic_shifting": True}, 10),
    ("flow-dpmpp-2m", DPM, {**FLOW, "use_dynamic_shifting": True}, 10),
    ("flow-heun", "FlowMatchHeunDiscreteScheduler", {"shift": 1.0}, 9),
]
PEEPS_CALLS = 9


def latents() -> dict[str, Tensor]:
    sys.path.insert(0, str(ROOT / "scripts/golden"))
    import dit
    import flux

    found = {}
    for name in ("dit-a", "fashion-dit"):
        golden, facts = load(f"{name}/golden.safetensors"), read_json(f"{name}/golden.json")
        for run, kind, config, calls in MODEL_RUNS:
            scheduler = scheduler_of(kind, config, calls)
            dit.ddim = lambda predict, x, steps, scheduler=scheduler: drive(scheduler, predict, x)
            two = [golden[f"sample.{what}"][:2] for what in ("noise", "label")]
            draw = dit.sample(dit.open_model(name), *two, steps=calls, scale=facts["cfg_scale"])
            found[f"{name}.{run}"] = draw.contiguous()
    golden, rows = load("flux-a/golden.safetensors"), slice(0, 2)
    predict = flux.predictor(flux.open_model("flux-a"), golden, rows)
    for run, kind, config, calls in FLOW_RUNS:
        scheduler = CLASSES[kind](**config)
        given = {"mu": read_json("flux-a/golden.json")["mu"]} if config.get("use_dynamic_shifting") else {}
        scheduler.set_timesteps((calls + 1) // 2 if "Heun" in kind else calls, **given)
        found[f"flux-a.{run}"] = drive(scheduler, lambda x, t: predict(x, t / 1000), golden["noise"][rows])
    return found | peeps_latents()


def peeps_schedulers():
    """Schedulers of peeps-flux, by our names; a picture of 16 × 16 tokens has the least shift."""
    import peeps_flux

    steps, mu = PEEPS_CALLS, peeps_flux.shift()["baseShift"]
    euler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    euler.set_timesteps(sigmas=torch.linspace(1, 1 / steps, steps).tolist(), mu=mu)
    heun = FlowMatchHeunDiscreteScheduler(shift=math.exp(mu))
    heun.sigma_min = 1 / 1000  # which it would shift twice
    heun.set_timesteps((steps + 1) // 2)
    yield from (("flow-euler", euler), ("flow-heun", heun))
    for name, kind in (("flow-dpmpp-2m", DPM), ("flow-unipc", UNIPC)):
        scheduler = CLASSES[kind](**FLOW, use_dynamic_shifting=True)
        scheduler.set_timesteps(steps, mu=mu)
        yield name, scheduler


def peeps_latents() -> dict[str, Tensor]:
    """One picture of peeps-flux under each solver, from what its integers stand for."""
    import peeps_flux

    golden = load("peeps-flux/golden.safetensors")
    model = peeps_flux.transformer().eval()
    text, pooled, noise = (golden[name][:1] for name in ("text", "pooled", "noise"))
    given = {"encoder_hidden_states": text, "pooled_projections": pooled, "img_ids": peeps_flux.image_ids(),
             "txt_ids": torch.zeros(text.shape[1], 3), "guidance": torch.full([1], peeps_flux.GUIDANCE)}

    def predict(x: Tensor, t: Tensor) -> Tensor:
        return model(hidden_states=x, timestep=t.view(1) / 1000, **given, return_dict=False)[0]

    return {f"peeps-flux.{name}": drive(scheduler, predict, noise) for name, scheduler in peeps_schedulers()}


@torch.no_grad()
def main() -> None:
    mode = sys.argv[1] if len(sys.argv) == 2 else ""
    if mode == "make":
        FOLDER.mkdir(parents=True, exist_ok=True)
        lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows())
        (FOLDER / "schedulers.json").write_text(f"[\n{lines}\n]\n")
        save_file(latents(), FOLDER / "models.safetensors")
    elif mode == "check":
        report = Report()
        for stored in json.loads((FOLDER / "schedulers.json").read_text()):
            row = row_of(stored["class"], stored["config"], stored["calls"])
            for what in ("times", "latents"):
                report.add(f"{row['class']} {row['config']} {what}", torch.tensor(row[what]), torch.tensor(stored[what]))
        stored = load_file(FOLDER / "models.safetensors")
        for name, found in latents().items():
            report.add(name, found, stored[name])
        report.exit()
    else:
        sys.exit("usage: solvers.py make|check")


if __name__ == "__main__":
    main()
