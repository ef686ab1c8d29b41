#!/usr/bin/env bash
# Makes .gpu/ in the project: Deno, its packages and a Vulkan loader, for a Linux x86-64 machine with a GPU and without a
# network. Run from the project's root, with a network; takes about two minutes and 46 MB. Fails when a module is missing.
set -euo pipefail
scripts=(src/cli/main.ts scripts/bench/{webgpu,gpu_process,half}.ts)
exclude="$(git rev-parse --git-common-dir)/info/exclude"
grep -qx '/.gpu/' "$exclude" 2>/dev/null || echo '/.gpu/' >> "$exclude"
rm -rf .gpu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
gpu="$work/gpu"; mkdir -p "$gpu/gl" # becomes .gpu when it is whole
deno=$(npx -y deno@2.9 eval 'console.log(Deno.execPath())')
export DENO_DIR="$work/dd" NO_COLOR=1 DENO_NO_UPDATE_CHECK=1
# A copy, far from this folder and its node_modules, with the packages of scripts and without those of tests alone.
mkdir "$work/p" && cp -r src scripts models plans tests mod.ts "$work/p/"
sed '/"openai"\|"playwright-core"\|"@hono\/node-server"\|"onnx-buf"\|"ssim.js"\|"fast-png"\|"@bufbuild/d' deno.json > "$work/p/deno.json"
cp "$work/p/deno.json" scripts/bench/gpu/{go.sh,torch_dit.py} "$gpu/"
cd "$work/p"
"$deno" cache --quiet --no-lock "${scripts[@]}"
runtimes='await import("npm:onnxruntime-web@1.30.0/jspi"); await import("npm:onnxruntime-web@1.30.0")'
"$deno" eval --no-lock "$runtimes"
# Of onnxruntime-web what Deno loads.
dist=$(find "$work/dd" -type d -path '*onnxruntime-web/1.30.0/dist')
(cd "$dist" && ls | grep -v -E '^ort-wasm-simd-threaded\.(jspi\.)?(wasm|mjs)$|^ort\.(jspi|node|wasm|webgpu|min|bundle).*mjs$' | xargs rm -f; rm -f ./*.map)
rm -rf "$work"/dd/gen "$work"/dd/*wal "$work"/dd/*shm
# Each script must begin with nothing but what is bundled.
for script in "${scripts[@]}"; do
  [ "$script" = scripts/bench/gpu_process.ts ] && continue # webgpu.ts starts it
  "$deno" run -A --no-lock --cached-only --quiet "$script" --help >/dev/null || { echo "not whole: $script"; exit 1; }
done
"$deno" eval --no-lock --cached-only "$runtimes"
cd - >/dev/null
tar cf - -C "$work" dd | xz -T2 -3 > "$gpu/dd.tar.xz"
xz -T2 -2 -c "$deno" > "$gpu/deno.xz"
lists="$work/apt"; mkdir -p "$lists/partial"
apt=(-qq -oAPT::Architecture=amd64 -oAPT::Architectures=amd64 -oDir::State::Lists="$lists" -oAPT::Sandbox::User=root)
apt-get "${apt[@]}" update
(cd "$gpu/gl" && apt-get "${apt[@]}" download libvulkan1 libegl1 libglvnd0 libopengl0 libgl1 libglx0 libgles2)
mv "$gpu" .gpu
du -sh .gpu
