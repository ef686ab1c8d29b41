"""Writes a T5 encoder with the width of T5-XXL v1.1 but two blocks, random numbers and a small vocabulary, with what
transformers makes of 512 tokens: 0.8 GB, so no part of the repository. `scripts/bench/stream_encoder.ts` compares.

    python3 scripts/golden/wide_t5.py /tmp/wide-t5

Made with transformers 5.24.0, torch 2.13.0 (CPU), safetensors 0.8.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import T5Config, T5EncoderModel

CONFIG = T5Config(d_model=4096, d_ff=10240, d_kv=64, num_heads=64, num_layers=2, vocab_size=1000,
                  feed_forward_proj="gated-gelu", dropout_rate=0)


@torch.no_grad()
def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(3)
    model = T5EncoderModel(CONFIG).eval()
    for name, parameter in model.named_parameters():
        # Queries are small, for logits are not scaled by the width of a head.
        scale = 1 if parameter.dim() == 1 or "shared" in name or "relative" in name else parameter.shape[1] ** -0.5
        scale *= 0.125 if ".q." in name else 1
        parameter.copy_(torch.randn(parameter.shape, generator=generator).mul_(scale).half())
    ids = torch.randint(3, CONFIG.vocab_size, [1, 512], generator=generator)
    last = model(input_ids=ids).last_hidden_state
    halves = {name: tensor.half() for name, tensor in model.state_dict().items() if "embed_tokens" not in name}
    save_file(halves, folder / "model.safetensors")
    save_file({"ids": ids, "last": last.contiguous()}, folder / "golden.safetensors")
    config = {**CONFIG.to_diff_dict(), "architectures": ["T5EncoderModel"]}
    (folder / "config.json").write_text(json.dumps(config))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
