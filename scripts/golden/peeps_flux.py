"""Makes or checks the golden numbers of models/peeps-flux: what diffusers and transformers compute from the numbers
that its integers stand for, in float32: token ids, text features, a forward pass, 28 steps, pictures.

    python3 scripts/golden/peeps_flux.py make    writes tests/golden/peeps-flux anew
    python3 scripts/golden/peeps_flux.py check   recomputes what is stored, within 1e-4 of the largest number

Made with diffusers 0.42.1, transformers 5.24.0, torch 2.13.0 (CPU), safetensors 0.8.
"""

import json
import sys
from pathlib import Path

import torch
from compare import GOLDEN, Report
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoTokenizer, CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

MODEL = GOLDEN.parents[1] / "models" / "peeps-flux"
FOLDER = GOLDEN / "peeps-flux"
PROMPTS = [
    "a person with curly hair, sunglasses and a green shirt, light blue background",
    "avatar of a person with a Full  Beard, round glasses, dark skin; navy shirt!",
    "red heart, 3d style",
    "",
]
STEPS, GUIDANCE, DRAWN = 28, 3.0, 2
TIMES = [1.0, 0.375]  # of the forward passes


def numbers(path: Path) -> dict[str, Tensor]:
    """A file's tensors; of one in integers, whose first axis is stored last, what it stands for."""
    stored = load_file(path)
    scales = {name: stored.pop(f"{name}.scale") for name in [*stored] if f"{name}.scale" in stored}
    for name, scale in scales.items():
        values = stored[name].movedim(-1, 0).float()
        stored[name] = values * scale.view(-1, *[1] * (values.dim() - 1))
    return {name: tensor.float() for name, tensor in stored.items()}


def transformer() -> FluxTransformer2DModel:
    weights = numbers(MODEL / "weights.safetensors")
    for name in [name for name in weights if name.endswith("proj_out.attn.weight")]:
        whole, mlp = (name.replace(".attn.weight", ending) for ending in (".weight", ".mlp.weight"))
        weights[whole] = torch.cat([weights.pop(name), weights.pop(mlp)], dim=1)
    config = json.loads((MODEL / "model.json").read_text())["config"]
    model = FluxTransformer2DModel.from_config(config)
    model.load_state_dict(weights)
    return model


def part(name: str, build, file: str):
    model = build(json.loads((MODEL / name / "config.json").read_text()))
    missing, unexpected = model.load_state_dict(numbers(MODEL / name / file), strict=False)
    assert not unexpected and set(missing) <= {"encoder.embed_tokens.weight"}, (missing, unexpected)  # a tied table
    return model


def shift() -> dict:
    return json.loads((MODEL / "model.json").read_text())["sampler"]["shift"]


def image_ids() -> Tensor:
    return FluxPipeline._prepare_latent_image_ids(1, 16, 16, "cpu", torch.float32)


def pipeline() -> FluxPipeline:
    by = shift()
    scheduler = FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True, base_shift=by["baseShift"], max_shift=by["maxShift"],
        base_image_seq_len=by["baseTokens"], max_image_seq_len=by["maxTokens"])
    encoder = "model.safetensors"
    pipe = FluxPipeline(
        scheduler=scheduler, transformer=transformer().eval(),
        vae=part("vae", AutoencoderKL.from_config, "diffusion_pytorch_model.safetensors").eval(),
        text_encoder=part("text_encoder", lambda json: CLIPTextModel(CLIPTextConfig(**json)), encoder).eval(),
        text_encoder_2=part("text_encoder_2", lambda json: T5EncoderModel(T5Config(**json)), encoder).eval(),
        tokenizer=AutoTokenizer.from_pretrained(MODEL / "tokenizer"),
        tokenizer_2=AutoTokenizer.from_pretrained(MODEL / "tokenizer_2"))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def token_ids(tokenizer) -> Tensor:
    tokens = tokenizer(PROMPTS, padding="max_length", max_length=40, truncation=True, return_tensors="pt")
    return tokens.input_ids.to(torch.int32)


@torch.no_grad()
def results() -> dict[str, Tensor]:
    pipe = pipeline()
    text, pooled, text_ids = pipe.encode_prompt(PROMPTS, None, max_sequence_length=40)
    noise = torch.randn([DRAWN, 256, 32], generator=torch.Generator().manual_seed(1)).half()  # small, and exact
    ids = image_ids()
    forward = pipe.transformer(
        hidden_states=noise.float(), encoder_hidden_states=text[:DRAWN], pooled_projections=pooled[:DRAWN],
        timestep=torch.tensor(TIMES), guidance=torch.full([DRAWN], GUIDANCE), img_ids=ids, txt_ids=text_ids,
        return_dict=False)[0]
    ask = {"prompt": PROMPTS[:DRAWN], "height": 128, "width": 128, "num_inference_steps": STEPS,
           "guidance_scale": GUIDANCE, "max_sequence_length": 40}
    latents = pipe(**ask, latents=noise.float(), output_type="latent").images
    pictures = pipe(**ask, latents=noise.float(), output_type="pt").images
    return {
        "clip.ids": token_ids(pipe.tokenizer), "t5.ids": token_ids(pipe.tokenizer_2), "text": text, "pooled": pooled,
        "noise": noise, "forward.times": torch.tensor(TIMES), "forward.output": forward, "latents": latents,
        "pictures": (pictures * 255).round().to(torch.uint8),
    }


def main(verb: str) -> None:
    found = results()
    if verb == "make":
        FOLDER.mkdir(exist_ok=True)
        metadata = {"prompts": json.dumps(PROMPTS), "steps": str(STEPS), "guidance": str(GUIDANCE)}
        save_file({name: tensor.contiguous() for name, tensor in found.items()}, FOLDER / "golden.safetensors", metadata)
        return
    report, stored = Report(), load_file(FOLDER / "golden.safetensors")
    for name, tensor in found.items():
        if name == "pictures":  # rounded to levels: one of 255 where a number is at an edge
            off = (tensor.int() - stored[name].int()).abs().max().item()
            assert off <= 1, f"pictures are off by {off} levels"
        else:
            report.add(f"peeps-flux {name}", tensor, stored[name])
    report.exit()


if __name__ == "__main__":
    if sys.argv[1:] not in (["make"], ["check"]):
        sys.exit(__doc__)
    main(sys.argv[1])
