#!/usr/bin/env bash
# On the machine with the GPU, from the project's root: bash .gpu/go.sh. What was made is under $OUT. Each run has a limit
# of its own; with names of runs as arguments only those.
out=${OUT:-/tmp/out}; here=$(mktemp -d); wanted=" $* "; mkdir -p "$out"
ldconfig -p 2>/dev/null | grep -q libvulkan.so.1 || { for f in .gpu/gl/*.deb; do dpkg -x "$f" /; done; ldconfig; }
export XDG_RUNTIME_DIR=/tmp DENO_NO_UPDATE_CHECK=1 NO_COLOR=1 DENO_DIR="$here/dd"
if [ -z "${VK_DRIVER_FILES:-}" ]; then
  icd=$(ls /usr/local/nvidia/share/vulkan/icd.d/*.json 2>/dev/null | head -1)
  [ -n "$icd" ] && export VK_DRIVER_FILES=$icd
fi
tar xf .gpu/dd.tar.xz -C "$here" & xz -dc .gpu/deno.xz > "$here/deno"; wait; chmod +x "$here/deno"
mkdir "$here/p"; cp -r src scripts models plans tests mod.ts .gpu/deno.json .gpu/torch_dit.py "$here/p/"; cd "$here/p" || exit 1
d="$here/deno run -A --no-lock --cached-only --quiet"; fashion="--model models/fashion-dit --backend webgpu"
t() {
  local name=$1 limit=$2; shift 2
  [ "$wanted" = "  " ] || [[ "$wanted" == *" $name "* ]] || return 0
  echo "== $name [$SECONDS s]"
  timeout "$limit" "$@" > "$out/$name.txt" 2>&1 || echo "ended with $?"
  grep -v onnxruntime: "$out/$name.txt" | tail -14
}
t doctor 20 $d src/cli/main.ts doctor
t none 30 $d src/cli/main.ts generate $fashion --plan none --out "$out/none.png"
t none-f32 30 $d src/cli/main.ts generate $fashion --plan none --precision f32 --out "$out/none-f32.png"
t half 40 $d scripts/bench/half.ts --model models/fashion-dit
t fast 30 $d src/cli/main.ts generate $fashion --plan fashion-dit.ddim50.fast --out "$out/fast.png"
t narrow 50 $d scripts/bench/webgpu.ts --in deno
t b4 50 $d scripts/bench/webgpu.ts --in deno --model DiT-B/4 --rounds 9
t b4-half 40 $d scripts/bench/webgpu.ts --in deno --model DiT-B/4-f16 --rounds 5 --kind full
t xl2 100 $d scripts/bench/webgpu.ts --in deno --model DiT-XL/2 --rounds 3
t torch 45 python3 torch_dit.py
rm -rf "$here"
