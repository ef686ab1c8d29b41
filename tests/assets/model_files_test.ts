import { assertEquals } from "@std/assert";
import { modelFiles } from "../../src/assets/model_files.ts";

const PIPELINE = [
  "README.md",
  "model_index.json",
  "flux1-dev.safetensors",
  "scheduler/scheduler_config.json",
  "text_encoder/config.json",
  "text_encoder/model.safetensors",
  "transformer/config.json",
  "transformer/diffusion_pytorch_model-00001-of-00002.safetensors",
  "transformer/diffusion_pytorch_model-00002-of-00002.safetensors",
  "transformer/diffusion_pytorch_model.safetensors.index.json",
  "vae/config.json",
  "vae/diffusion_pytorch_model.bin",
  "vae/diffusion_pytorch_model.fp16.safetensors",
  "vae/diffusion_pytorch_model.safetensors",
];

Deno.test("modelFiles() of a pipeline takes transformer, VAE and scheduler, each number once", () => {
  assertEquals(modelFiles(PIPELINE), [
    "model_index.json",
    "transformer/config.json",
    "transformer/diffusion_pytorch_model.safetensors.index.json",
    "transformer/diffusion_pytorch_model-00001-of-00002.safetensors",
    "transformer/diffusion_pytorch_model-00002-of-00002.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "scheduler/scheduler_config.json",
  ]);
});

Deno.test("modelFiles() takes the file that is named and the descriptions beside it", () => {
  const named = modelFiles(PIPELINE, "flux1-dev.safetensors");
  assertEquals(named, ["model_index.json", "flux1-dev.safetensors"]);
});

Deno.test("modelFiles() takes what lies at the top where there is no pipeline", () => {
  const files = ["config.json", "model.safetensors", "ema.safetensors", "x/model.safetensors"];
  assertEquals(modelFiles(files), ["config.json", "model.safetensors"]);
  const shards = ["a-00001-of-00002.safetensors", "a-00002-of-00002.safetensors"];
  assertEquals(modelFiles([...shards, "a.fp16.safetensors"]), shards);
  assertEquals(modelFiles(["a.fp16.safetensors"]), ["a.fp16.safetensors"]);
  const torch = ["config.json", "diffusion_pytorch_model.bin", "optimizer.bin"];
  assertEquals(modelFiles(torch), torch.slice(0, 2));
  assertEquals(modelFiles([...torch, "model.safetensors"]), ["config.json", "model.safetensors"]);
});
