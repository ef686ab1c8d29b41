"""Writes tests/golden/sd3-a: a small random SD3 transformer as diffusers saves it, and what it predicts.

    python3 scripts/golden/sd3.py tests/golden/sd3-a      (diffusers 0.42, torch on CPU)
"""
import sys
import torch
from diffusers import SD3Transformer2DModel
from safetensors.torch import save_file

out = sys.argv[1]
torch.manual_seed(5)
model = SD3Transformer2DModel(
    sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
    num_attention_heads=2, joint_attention_dim=10, caption_projection_dim=16, pooled_projection_dim=7,
    pos_embed_max_size=7, qk_norm="rms_norm").eval()
for parameter in model.parameters():
    if parameter.dim() > 1:
        torch.nn.init.normal_(parameter, std=0.8 / parameter[0].numel() ** 0.5)
    else:
        torch.nn.init.normal_(parameter, mean=1.0 if parameter.numel() == 8 else 0.0, std=0.1)
model.save_pretrained(out)
latent, text, pooled = torch.randn(3, 4, 8, 8), torch.randn(3, 5, 10), torch.randn(3, 7)
with torch.no_grad():  # the third row is the negative one
    velocity = model(latent, text, pooled, torch.tensor([500.0] * 3)).sample
    negative = model(latent, text[2:].expand(3, -1, -1), pooled[2:].expand(3, -1), torch.tensor([500.0] * 3)).sample
tensors = dict(latent=latent, text=text, pooled=pooled, velocity=velocity, negative=negative)
save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, f"{out}/golden.safetensors")
