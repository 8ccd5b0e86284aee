#!/usr/bin/env bash
# From a fresh clone to a streamed answer: installs what is missing, builds, pulls a small model, asks it.
# Typed again it only asks.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ "${1:-}" == -h || "${1:-}" == --help ]]; then
  echo 'usage: scripts/quickstart.sh ["PROMPT" [MODEL]]     for example: scripts/quickstart.sh "Why is the sky blue?"'
  exit 0
fi
prompt=${1:-Why is the sky blue?}
model=${2:-smollm2:135m}
build=build/release
medlar=$build/medlar
log=$build/quickstart.log

# True when the program exists and no source or build file is newer. Takes some tens of milliseconds.
up_to_date() { [[ -x $medlar ]] && ninja -C $build -n medlar 2>/dev/null | grep -q 'no work to do'; }

# Shows "building: 12/340" on a terminal until the process ends.
show_progress() {
  local pid=$1 step
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.5
    step=$(grep -o '^\[[0-9]*/[0-9]*\]' "$log" | tail -n 1 || true)
    [[ -t 2 ]] && printf '\r\033[Kbuilding: %s, %d s' "${step//[\[\]]/}" "$SECONDS" >&2
  done
  [[ -t 2 ]] && printf '\r\033[K' >&2
  return 0
}

build_medlar() {
  scripts/install_deps.sh
  mkdir -p $build
  echo "Building medlar: about 5 minutes on two cores the first time." >&2
  SECONDS=0
  # What was configured before keeps its settings, so that this and test.sh share one build.
  local settings=()
  [[ -f $build/CMakeCache.txt ]] || settings=(-DMEDLAR_TESTS=OFF)
  {
    cmake --preset release "${settings[@]}" && ninja -C $build medlar
  } >"$log" 2>&1 &
  local pid=$!
  trap 'kill $pid 2>/dev/null' EXIT
  show_progress $pid
  trap - EXIT
  if ! wait $pid; then
    tail -n 40 "$log" >&2
    echo "quickstart: the build failed; all of its output is in $log" >&2
    exit 1
  fi
  echo "Built in $SECONDS s." >&2
}

up_to_date || build_medlar
$medlar show "$model" --json >/dev/null 2>&1 || $medlar pull "$model"
# The most likely answer, so that the same question gets the same answer; a plain role keeps a small model on topic.
exec $medlar run "$model" "$prompt" --system "You are a helpful assistant." --temp 0 --stats
