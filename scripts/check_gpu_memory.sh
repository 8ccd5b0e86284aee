#!/usr/bin/env bash
# What NVIDIA's compute-sanitizer says of the kernels on a GPU, over a prompt and an answer of every tiny model in
# tests/goldens: memcheck finds accesses outside of buffers and misaligned ones, racecheck threadgroup memory without a
# barrier between. What a missing tool or GPU prevents is skipped, and says so. usage: scripts/check_gpu_memory.sh
# [BUILD_FOLDER [TOOL...]]
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

medlar=${1:-build/release}/medlar
tools=("${@:2}")
[[ ${#tools[@]} -gt 0 ]] || tools=(memcheck racecheck)
at_once=$(($(nproc) / 2 > 0 ? $(nproc) / 2 : 1))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

skip() { echo "SKIPPED: $*"; exit 0; }

sanitizer=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
[[ -x $sanitizer ]] || skip "there is no compute-sanitizer, which comes with the CUDA toolkit"
nvidia-smi -L >/dev/null 2>&1 || skip "there is no NVIDIA GPU"

# check TOOL DESCRIPTION COMMAND...: the tool finds nothing in what the command runs.
check() {
  local tool=$1 what=$2 log; shift 2
  if log=$("$sanitizer" --tool "$tool" --error-exitcode 99 --print-limit 3 "$@" 2>&1); then
    echo "ok: $tool, $what"
  else
    echo "FAILED: $tool, $what"
    tail -n 20 <<<"$log"
    touch "$work/failed"
  fi
}
start() {
  while (($(jobs -rp | wc -l) >= at_once)); do wait -n; done
  check "$@" &
}

tokens=$(seq -s, 3 202) # enough rows for every kernel of products, and several rows of logits
for tool in "${tools[@]}"; do
  for model in tests/goldens/tiny-*.gguf; do
    start "$tool" "a prompt of $model" "$medlar" logits -m "$model" --tokens "$tokens" --device cuda --top 1
    start "$tool" "an answer of $model" "$medlar" run "$model" hello --raw -n 4 --temp 0 --device cuda
  done
done
wait
[[ ! -e $work/failed ]]
