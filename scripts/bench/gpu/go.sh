#!/usr/bin/env bash
# On the machine with the GPU, from the project's root: bash .gpu/go.sh. What was made is under $OUT. Each run has a limit
# of its own; with names of runs as arguments only those. With SMALL=1 they do next to nothing and have time, and heavy ones
# are left out: to try the bundle on a machine without a GPU. Ends with 1 where a run failed.
out=${OUT:-/tmp/out}; here=$(mktemp -d); wanted=" $* "; mkdir -p "$out"
ldconfig -p 2>/dev/null | grep -q libvulkan.so.1 || { for f in .gpu/gl/*.deb; do dpkg -x "$f" /; done; ldconfig; }
export XDG_RUNTIME_DIR=/tmp DENO_NO_UPDATE_CHECK=1 NO_COLOR=1 DENO_DIR="$here/dd"
if [ -z "${VK_DRIVER_FILES:-}" ]; then
  icd=$(ls /usr/local/nvidia/share/vulkan/icd.d/*.json 2>/dev/null | head -1)
  [ -n "$icd" ] && export VK_DRIVER_FILES=$icd
fi
tar xf .gpu/dd.tar.xz -C "$here" && xz -dc .gpu/deno.xz > "$here/deno" && chmod +x "$here/deno" ||
  { echo "not whole: .gpu"; exit 1; }
mkdir "$here/p"; cp -r src scripts models plans tests mod.ts .gpu/deno.json .gpu/torch_dit.py "$here/p/"; cd "$here/p" || exit 1
d="$here/deno run -A --no-lock --cached-only --quiet"; fashion="--model models/fashion-dit --backend webgpu"
one=() rounds=() patience=1 failed=()
[ -z "${SMALL:-}" ] || { one=(--count 1 --steps 3) rounds=(--rounds 1 --kind full) patience=6; }
t() {
  local name=$1 limit=$2; shift 2
  [ "$wanted" = "  " ] || [[ "$wanted" == *" $name "* ]] || return 0
  echo "== $name [$SECONDS s]"
  timeout $((limit * patience)) "$@" > "$out/$name.txt" 2>&1 || { echo "ended with $?"; failed+=("$name"); }
  grep -v onnxruntime: "$out/$name.txt" | tail -14
}
t doctor 20 $d src/cli/main.ts doctor
t none 30 $d src/cli/main.ts generate $fashion "${one[@]}" --plan none --out "$out/none.png"
t none-f32 30 $d src/cli/main.ts generate $fashion "${one[@]}" --plan none --precision f32 --out "$out/none-f32.png"
t half 40 $d scripts/bench/half.ts --model models/fashion-dit "${one[@]}"
t fast 30 $d src/cli/main.ts generate $fashion "${one[@]:0:2}" --plan fashion-dit.ddim50.fast --out "$out/fast.png"
t narrow 50 $d scripts/bench/webgpu.ts --in deno "${rounds[@]}"
if [ -z "${SMALL:-}" ]; then
  t b4 50 $d scripts/bench/webgpu.ts --in deno --model DiT-B/4 --rounds 9
  t b4-half 40 $d scripts/bench/webgpu.ts --in deno --model DiT-B/4-f16 --rounds 5 --kind full
  t xl2 100 $d scripts/bench/webgpu.ts --in deno --model DiT-XL/2 --rounds 3
fi
if python3 -c "import torch" 2>/dev/null; then t torch 45 python3 torch_dit.py; fi
rm -rf "$here"
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
