"""Makes or checks the golden text encoders of tests/golden/text: shaped as CLIP-L, OpenCLIP bigG, T5 v1.1 and the
first T5. Weights are random and small, and stored as published files have them: in halves, bfloat16 or float32, in
one file or two, under names of transformers 4 or 5. The reference computes in float32.

    python3 scripts/golden/text_encoders.py make    writes the files anew
    python3 scripts/golden/text_encoders.py check   recomputes what is stored, within 1e-4 of the largest number

Made with transformers 5.24.0, torch 2.13.0 (CPU), safetensors 0.8.
"""

import json
import sys

import torch
from compare import GOLDEN, Report
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, T5Config, T5EncoderModel
from transformers.models.t5.modeling_t5 import T5Attention

FOLDER = GOLDEN / "text"
CLIP = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 3, "vocab_size": 99,
        "max_position_embeddings": 20, "projection_dim": 40, "bos_token_id": 97}
T5 = {"d_model": 48, "num_layers": 2, "num_heads": 3, "vocab_size": 99, "d_ff": 64}
KINDS = {
    # As published: the end token of old configurations is 2, which stands for the highest id.
    "clip-l": (CLIPTextModel, CLIPTextConfig(**CLIP, hidden_act="quick_gelu", eos_token_id=2, pad_token_id=1)),
    "clip-g": (CLIPTextModelWithProjection,
               CLIPTextConfig(**CLIP, hidden_act="gelu", eos_token_id=50, pad_token_id=0, layer_norm_eps=1e-4)),
    # All heads together are narrower than the model; few tokens reach the last bucket.
    "t5-v1.1": (T5EncoderModel, T5Config(**T5, d_kv=8, feed_forward_proj="gated-gelu", dropout_rate=0,
                                         relative_attention_num_buckets=16, relative_attention_max_distance=18)),
    "t5-relu": (T5EncoderModel, T5Config(**T5, d_kv=24, feed_forward_proj="relu", dropout_rate=0,
                                         layer_norm_epsilon=1e-5)),
}
STORED = {"clip-l": torch.float16, "clip-g": torch.bfloat16, "t5-v1.1": torch.float16, "t5-relu": torch.float32}
BUCKETS = ((32, 128), (16, 40), (16, 18), (8, 20), (64, 100), (4, 2), (32, 9))


def stored_name(kind: str, name: str) -> str:
    """Transformers 4 put a prefix before CLIP's names, and called T5's table by the encoder's own name too."""
    if kind == "clip-l":
        return f"text_model.{name}"
    return "encoder.embed_tokens.weight" if kind == "t5-relu" and name == "shared.weight" else name


def stored_type(kind: str, name: str) -> torch.dtype:
    return torch.float32 if name.endswith("DenseReluDense.wo.weight") else STORED[kind]


@torch.no_grad()
def random_model(kind: str):
    torch.manual_seed(len(kind))
    build, config = KINDS[kind]
    model = build(config).eval()
    for name, parameter in model.named_parameters():
        scale = 1 if "embed" in name or "shared" in name or "relative" in name else parameter[0].numel() ** -0.5
        parameter.copy_(torch.randn_like(parameter) * (1.3 * scale if parameter.dim() > 1 else 0.2))
        if "norm" in name and name.endswith("weight"):
            parameter.add_(1)
        if kind == "t5-v1.1" and ("wi_" in name or "wo" in name):
            parameter.mul_(60)  # what wo adds up is beyond half precision
        parameter.copy_(parameter.to(stored_type(kind, name)).float())
    return model


def token_ids(kind: str) -> Tensor:
    """Three texts of 20 tokens, the last without an end token, the first with two."""
    ids = torch.randint(3, 49, [3, 20], generator=torch.Generator().manual_seed(5))
    if kind.startswith("clip"):
        ids[:, 0] = 97
        ids[0, 7], ids[0, 8:], ids[1, 19] = (98, 98, 98) if kind == "clip-l" else (50, 0, 50)
    else:
        ids[0, 7], ids[0, 8:], ids[1, 19] = 1, 0, 1
    return ids


@torch.no_grad()
def results(kind: str, model) -> dict[str, Tensor]:
    ids = token_ids(kind)
    mask = torch.ones_like(ids)
    mask[0, 8:] = 0
    found = {"ids": ids, "mask": mask}
    for suffix, given in (("", None), (".masked", mask)):
        out = model(input_ids=ids, attention_mask=given, output_hidden_states=True)
        found[f"last{suffix}"] = out.last_hidden_state
        found[f"penultimate{suffix}"] = out.hidden_states[-2]
        if kind.startswith("clip"):
            found[f"pooled{suffix}"] = out.text_embeds if kind == "clip-g" else out.pooler_output
    return {name: tensor.contiguous().clone() for name, tensor in found.items()}


def buckets() -> dict[str, Tensor]:
    far = torch.arange(-300, 301)
    bucket = T5Attention._relative_position_bucket
    return {f"{count}.{most}": bucket(far, True, count, most) for count, most in BUCKETS}


def save(kind: str, model) -> None:
    folder = FOLDER / kind
    folder.mkdir(parents=True, exist_ok=True)
    config = {key: value for key, value in model.config.to_dict().items() if value is not None}
    (folder / "config.json").write_text(json.dumps({**config, "architectures": [type(model).__name__]}, indent=1) + "\n")
    named = {name: tensor for name, tensor in model.state_dict().items() if name != "encoder.embed_tokens.weight"}
    tensors = {stored_name(kind, name): tensor.to(stored_type(kind, name)) for name, tensor in named.items()}
    if kind != "clip-g":
        save_file(tensors, folder / "model.safetensors")
        return
    names = sorted(tensors)
    places = {}
    for part, own in enumerate((names[::2], names[1::2]), 1):
        file = f"model-0000{part}-of-00002.safetensors"
        save_file({name: tensors[name] for name in own}, folder / file)
        places |= dict.fromkeys(own, file)
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


def main(verb: str) -> None:
    report = Report()
    for kind in KINDS:
        model = random_model(kind)
        found = results(kind, model)
        if kind == "t5-v1.1":
            assert found["penultimate"].abs().max() > torch.finfo(torch.float16).max
        if verb == "make":
            save(kind, model)
            save_file(found, FOLDER / kind / "golden.safetensors")
            continue
        stored = load_file(FOLDER / kind / "golden.safetensors")
        for name, tensor in found.items():
            report.add(f"{kind} {name}", tensor, stored[name])
    if verb == "make":
        save_file(buckets(), FOLDER / "buckets.safetensors")
        return
    stored = load_file(FOLDER / "buckets.safetensors")
    for name, tensor in buckets().items():
        report.add(f"buckets {name}", tensor, stored[name])
    report.exit()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "check")
