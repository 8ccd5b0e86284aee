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

# Shows "building: 12/340" on a terminal until the process ends.
show_progress() {
  local pid=$1 step
  while sleep 0.1 && kill -0 "$pid" 2>/dev/null; do
    step=$(grep -o '^\[[0-9]*/[0-9]*\]' "$log" | tail -n 1 || true)
    [[ -t 2 && -n $step ]] && printf '\r\033[Kbuilding: %s, %d s' "${step//[\[\]]/}" "$SECONDS" >&2
  done
  [[ -t 2 ]] && printf '\r\033[K' >&2
  return 0
}

# Where nothing has changed since the last build this takes some tens of milliseconds and says nothing.
build_medlar() {
  mkdir -p $build
  if [[ ! -x $medlar ]]; then
    scripts/install_deps.sh
    echo "Building medlar: about 5 minutes on two cores." >&2
  fi
  SECONDS=0
  # What was configured before keeps its settings, so that this and test.sh share one build.
  {
    { [[ -f $build/build.ninja ]] || cmake --preset release -DMEDLAR_TESTS=OFF; } && ninja -C $build medlar
  } >"$log" 2>&1 &
  local pid=$!
  trap 'kill $pid 2>/dev/null' EXIT
  show_progress $pid
  trap - EXIT
  if ! wait $pid; then
    tail -n 40 "$log" >&2
    echo "quickstart: the build failed; all of its output is in $log." \
      "scripts/install_deps.sh installs what it needs." >&2
    exit 1
  fi
  grep -q 'no work to do' "$log" || echo "Built in $SECONDS s." >&2
}

build_medlar
# The most likely answer, so that the same question gets the same answer; a plain role keeps a small model on topic.
exec $medlar run "$model" "$prompt" --system "You are a helpful assistant." --temp 0 --stats
