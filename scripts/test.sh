#!/usr/bin/env bash
# Installs what the tests need, builds everything and runs every test. With stage names: only those stages.
# All stages run even when one fails; the last line sums them up, and the exit code is 0 only if nothing failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

STAGES=(deps build style unit python web docs arm64 apple gpu fuzz)
LONG_STAGES=(asan-ubsan tsan macos)  # only by name: each compiles everything once more
usage() {
  echo "usage: scripts/test.sh [STAGE...]"
  echo "stages: ${STAGES[*]}"
  echo "only by name: ${LONG_STAGES[*]}"
}

build=build/release
fuzz_seconds=20
total_passed=0 total_failed=0 total_skipped=0
summary=()

# record STAGE PASSED FAILED SKIPPED: one line of the closing summary.
record() {
  summary+=("$(printf '%-8s %5d passed, %d failed, %d skipped, %d s' "$1" "$2" "$3" "$4" "$SECONDS")")
  total_passed=$((total_passed + $2)) total_failed=$((total_failed + $3)) total_skipped=$((total_skipped + $4))
}

# check STAGE COMMAND...: a stage that passes or fails as a whole.
check() {
  local stage=$1
  shift
  if "$@"; then record "$stage" 1 0 0; else record "$stage" 0 1 0; fi
}

# check_gtest STAGE COMMAND...: a stage whose GoogleTest closing lines are counted, and lines "ok: what",
# "FAILED: what" and "SKIPPED: reason". A failure that no line tells of counts as one.
check_gtest() {
  local stage=$1 log=$build/$1.log status passed failed skipped
  shift
  mkdir -p "$build"
  "$@" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  passed=$(($(gtest_sum "$log" PASSED) + $(grep -c '^ok: ' "$log")))
  failed=$(($(gtest_sum "$log" FAILED) + $(grep -c '^FAILED: ' "$log")))
  skipped=$(($(gtest_sum "$log" SKIPPED) + $(grep -c '^SKIPPED: ' "$log")))
  [[ $status != 0 && $failed == 0 ]] && failed=1
  record "$stage" "$passed" "$failed" "$skipped"
}
# The sum over the closing lines of a kind: "[  PASSED  ] 31 tests.", after "7: " where ctest ran the binary.
gtest_sum() {
  sed -nE "s/^([0-9]+: )?\[  $2 +\] ([0-9]+) tests?[.,].*/\2/p" "$1" | awk '{ n += $1 } END { print n + 0 }'
}

stage_deps() { check deps scripts/install_deps.sh --tests; }

stage_build() { check build build_all; }
build_all() {
  mkdir -p $build
  cmake --preset release -DMEDLAR_TESTS=ON >$build/configure.log 2>&1 || { cat $build/configure.log; return 1; }
  ninja -C $build >$build/build.log 2>&1 || { grep -v '^\[' $build/build.log | tail -n 60; return 1; }
  tail -n 1 $build/build.log
}

stage_style() {
  local passed=0 failed=0 command
  for command in "python3 scripts/check_includes.py --self-test" "python3 scripts/check_includes.py" format_check; do
    if $command; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  done
  record style $passed $failed 0
}
format_check() {
  local formatter
  formatter=$(command -v clang-format-19 || command -v clang-format) || return 1
  git ls-files '*.h' '*.cpp' '*.mm' | xargs "$formatter" --dry-run --Werror && echo "format: every source file is formatted"
}

# GoogleTest binaries through ctest. GTEST_BRIEF leaves their failures, skips with reasons, and closing lines.
stage_unit() { check_gtest unit run_unit_tests; }
run_unit_tests() {
  local noise='^[0-9]+: (Test command|Working Directory|Test timeout)|^[0-9]+: $|^ +Start |^$|^test [0-9]'
  GTEST_BRIEF=1 ctest --test-dir $build --verbose --timeout 1200 | grep -vE "$noise"
}

stage_python() {
  local log=$build/python.log
  make_venv || { record python 0 1 0; return; }
  MEDLAR_BUILD=$PWD/$build build/venv/bin/python -m pytest tests/python -rs -q --medlar $build/medlar 2>&1 | tee $log
  local status=${PIPESTATUS[0]} line
  line=$(tail -n 1 $log)
  pytest_number() { grep -oE "[0-9]+ $1" <<<"$line" | grep -oE '[0-9]+' || echo 0; }
  local failed=$(($(pytest_number failed) + $(pytest_number error)))
  [[ $status != 0 && $failed == 0 ]] && failed=1
  record python "$(pytest_number passed)" "$failed" "$(pytest_number skipped)"
}
# A virtual environment under build/, made again when the list of packages changes.
make_venv() {
  local list=tests/python/requirements.txt stamp=build/venv/requirements.txt
  cmp -s $list $stamp && return
  python3 -m venv build/venv && build/venv/bin/pip install --quiet --disable-pip-version-check -r $list &&
    cp $list $stamp
}

# The page: types, unit tests, and Chromium doing every action, with a mock server and with medlar serve. Counted from the closing lines of the test runners.
stage_web() {
  local log=$build/web.log reason=
  mkdir -p $build
  command -v npm >/dev/null || reason="npm is not installed"
  [[ -z $reason ]] && ! node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' && reason="the tests need Node 20"
  if [[ -n $reason ]]; then
    echo "web: skipped, $reason"
    record web 0 0 1
    return
  fi
  # The colours of a terminal would hide the counts.
  NO_COLOR=1 FORCE_COLOR=0 run_web_tests 2>&1 | tee $log
  local status=${PIPESTATUS[0]} passed failed skipped
  web_sum() { sed -nE "s/^( +Tests +.*[^0-9]| +| +Tests +)([0-9]+) $1( .*)?$/\2/p" $log | awk '{ n += $1 } END { print n + 0 }'; }
  passed=$(($(web_sum passed) + $(grep -c '^ok: ' $log))) failed=$(web_sum failed) skipped=$(web_sum skipped)
  [[ $status != 0 && $failed == 0 ]] && failed=1
  record web "$passed" "$failed" "$skipped"
}
run_web_tests() {
  node web/embed.mjs install npm && cd web || return 1
  npm run --silent check && echo "ok: types" && npm run --silent unit -- --reporter=dot && npm run --silent build -- --logLevel warn &&
    MEDLAR=$PWD/../$build/medlar npm run --silent page
}

stage_docs() { check docs python3 scripts/check_docs.py --medlar $build/medlar; }
stage_arm64() { check_gtest arm64 scripts/test-arm64.sh; }
# For Macs, by Zig's clang: the sources that know macOS; the whole program, linked.
stage_apple() { check_gtest apple scripts/cross-macos.sh --compile-only; }
stage_macos() { check_gtest macos scripts/cross-macos.sh; }
stage_gpu() { check_gtest gpu scripts/test-gpu.sh; }

# A short run of each fuzz target under the sanitizers, from its seeds; docs/robustness.md has the long runs.
stage_fuzz() {
  local passed=0 failed=0 target name
  if ! command -v clang++-19 >/dev/null; then
    echo "fuzz: skipped, clang++-19 is not installed"
    record fuzz 0 0 1
    return
  fi
  if ! { cmake --preset fuzz && ninja -C build/fuzz fuzz/all; } >build/fuzz.log 2>&1; then
    tail -n 40 build/fuzz.log
    record fuzz 0 1 0
    return
  fi
  for target in build/fuzz/fuzz/fuzz_*; do
    [[ -f $target && -x $target ]] || continue
    name=${target##*/fuzz_}
    mkdir -p "build/fuzz/corpus/$name"
    local seeder=build/fuzz/fuzz/seeds_$name
    [[ -x $seeder ]] && $seeder "build/fuzz/corpus/$name" 100 >/dev/null
    if $target -max_total_time=$fuzz_seconds -rss_limit_mb=2048 -timeout=25 -print_final_stats=1 \
      -artifact_prefix=build/fuzz/ "build/fuzz/corpus/$name" >"build/fuzz/$name.log" 2>&1; then
      passed=$((passed + 1))
      echo "fuzz_$name: $(grep -oE 'number_of_executed_units: [0-9]+' "build/fuzz/$name.log") without a finding"
    else
      failed=$((failed + 1))
      tail -n 40 "build/fuzz/$name.log"
    fi
  done
  record fuzz $passed $failed 0
}

# What runs on threads and reads what strangers send, under the sanitizers of a preset: the unit tests of threads,
# engine and server, and the Python tests of the server.
stage_asan-ubsan() { run_sanitized asan-ubsan; }
stage_tsan() { run_sanitized tsan; }
run_sanitized() {
  local preset=$1 folder=build/$1 log=build/$1.log passed=0 failed=0 test
  if ! { cmake --preset "$preset" && ninja -C "$folder" medlar test_base test_engine test_host test_server; } >"$log" 2>&1; then
    tail -n 40 "$log"
    record "$preset" 0 1 0
    return
  fi
  export TSAN_OPTIONS="exitcode=66 history_size=4" UBSAN_OPTIONS=print_stacktrace=1
  # Without what compares backends: the emulator takes hours of them there, on one thread. Its own races are what
  # the stage gpu looks for.
  for test in base engine host server; do
    if "$folder/tests/$test/test_$test" --gtest_brief=1 --gtest_filter=-Tiny/Backends.*:SampleBest.Answers*; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
    fi
  done
  if make_venv && build/venv/bin/python -m pytest tests/python -q -k "(server or clients) and not emulator" --medlar "$folder/medlar"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
  record "$preset" $passed $failed 0
}

main() {
  local stages=("$@") stage
  [[ ${#stages[@]} == 0 ]] && stages=("${STAGES[@]}")
  for stage in "${stages[@]}"; do
    if ! declare -F "stage_$stage" >/dev/null; then
      usage >&2
      exit 2
    fi
  done
  for stage in "${stages[@]}"; do
    echo "== $stage"
    SECONDS=0
    "stage_$stage"
    # Nothing else can work without a build.
    [[ $stage == build && $total_failed != 0 ]] && break
  done
  printf '\n== summary\n'
  printf '%s\n' "${summary[@]}"
  echo "$total_passed passed, $total_failed failed, $total_skipped skipped"
  [[ $total_failed == 0 ]]
}

case "${1:-}" in
  -h | --help) usage ;;
  *) main "$@" ;;
esac
