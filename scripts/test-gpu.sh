#!/usr/bin/env bash
# Checks of the GPU kernels that need more than the usual build: their Metal text, type-checked and executed, and on a
# Mac compiled by Apple's compiler; address spaces and the rules of GPU languages, by clang; planted mistakes under
# sanitizers; the emulator on 64-bit Arm.
# What a missing tool prevents is skipped, and says so. usage: scripts/test-gpu.sh [BUILD_FOLDER]
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

build=${1:-build/release}
work=$build/gpu-checks
clang=$(command -v clang++-19 || true)
cxx=${CXX:-g++}
failed=0
mkdir -p "$work"

ok() { echo "ok: $*"; }
bad() { echo "FAILED: $*"; failed=1; }
skip() { echo "SKIPPED: $*"; }

# expect DESCRIPTION COMMAND...: the command must succeed. refuse: it must fail, but not crash.
expect() {
  local what=$1; shift
  if "$@" >"$work/log" 2>&1; then ok "$what"; else bad "$what"; tail -n 20 "$work/log"; fi
}
refuse() {
  local what=$1; shift
  "$@" >"$work/log" 2>&1
  if [[ $? == 1 ]]; then ok "$what"; else bad "$what"; tail -n 20 "$work/log"; fi
}

libraries=("$build"/kernels/gpu/libmedlar_kernels_gpu.a "$build"/kernels/libmedlar_kernels.a
           "$build"/formats/libmedlar_formats.a "$build"/base/libmedlar_base.a -lfmt -lspdlog -lpthread)

build_all() { ninja -C "$build" gpu_kernel_text test_kernels_gpu; }
expect "build" build_all
[[ $failed == 0 ]] || exit 1
"$build"/tests/gpu/gpu_kernel_text >"$work/kernels.metal"

# --- clang: address spaces, and the rules that Metal shares with OpenCL C++
spaces() { "$clang" -std=c++20 -I. -DMEDLAR_GPU_ADDRESS_SPACES -Wall -Wno-unused-const-variable -fsyntax-only -x c++ "$@"; }
lint() {
  "$clang" -x clcpp -cl-std=clc++2021 -target spir64 -Xclang -cl-ext=-cl_khr_fp64,-__opencl_c_fp64 \
    -Xclang -finclude-default-header -I. -Wall "$@"
}
# A pointer without an address space points to __generic in the syntax tree.
generic_pointers() {
  ! lint -Xclang -ast-dump -fsyntax-only "$@" 2>/dev/null | grep -E '(Parm|Field| )VarDecl' | grep -E '__generic [A-Za-z0-9_: ]+\*'
}
if [[ -n $clang ]]; then
  for source in kernels/gpu/emulator/kernels*.cpp; do
    expect "address spaces: $(basename "$source")" spaces "$source"
  done
  expect "address spaces: correct text" spaces tests/gpu/planted_text.h
  refuse "address spaces: a threadgroup pointer for a device pointer" spaces -DPLANTED_WRONG_ADDRESS_SPACE tests/gpu/planted_text.h
  expect "lint: every kernel" lint -fsyntax-only "$work/kernels.metal"
  expect "lint: no pointer without an address space" generic_pointers "$work/kernels.metal"
  expect "lint: correct text" lint -fsyntax-only tests/gpu/planted_text.h
  for mistake in WRONG_ADDRESS_SPACE FUNCTION_POINTER DOUBLE THREADGROUP_ARRAY_IN_BLOCK; do
    refuse "lint: $mistake" lint -fsyntax-only -DPLANTED_$mistake tests/gpu/planted_text.h
  done
  refuse "lint: NO_ADDRESS_SPACE" generic_pointers -DPLANTED_NO_ADDRESS_SPACE tests/gpu/planted_text.h

  # --- the text that a Mac gets, over a stand-in for Metal's library
  metal=(-I. -I"$work" -Itests/gpu/metal_stub -Wno-unknown-attributes -Wno-ignored-attributes -Wno-unused-function)
  expect "Metal: C++14" "$clang" -std=c++14 "${metal[@]}" -Wno-c++17-extensions -fsyntax-only -D__METAL_VERSION__=310 \
    "-DTGARRAY(T,name,n)=threadgroup T* const name = (threadgroup T*)0" -x c++ "$work/kernels.metal"
  expect "Metal: compile" "$clang" -std=c++20 -O1 -Wall "${metal[@]}" -c tests/gpu/metal_kernels.cpp -o "$work/metal.o"
  expect "Metal: link" "$cxx" -o "$work/test_metal" "$build"/tests/kernels/gpu/CMakeFiles/test_kernels_gpu.dir/*.o \
    "$work/metal.o" "${libraries[@]}" -lgtest -lgmock -lgtest_main
  expect "Metal: every kernel agrees with the references" "$work/test_metal" --gtest_brief=1
else
  skip "address spaces, lint and Metal text: clang++-19 is missing (Debian: clang-19)"
fi

# --- Apple's own compiler, one kernel at a time
by_apple() {
  "$build"/tests/gpu/gpu_kernel_text "$1" >"$work/$1.metal" &&
    xcrun metal -std=metal3.1 -c "$work/$1.metal" -o "$work/$1.air"
}
if command -v xcrun >/dev/null && xcrun --find metal >/dev/null 2>&1; then
  for kernel in $("$build"/tests/gpu/gpu_kernel_text --list); do expect "xcrun metal: $kernel" by_apple "$kernel"; done
else
  skip "xcrun metal: Apple's compiler of Metal is on Macs only (Xcode)"
fi

# --- planted mistakes under sanitizers
sanitized() {  # NAME FLAG: $work/planted_NAME, whose emulator ThreadSanitizer does not instrument
  local flags=(-std=c++23 -O1 -g -I. -fsanitize="$2") emulator=() objects=() source object
  emulator=("${flags[@]}")
  [[ $1 == tsan ]] && flags+=(-DMEDLAR_EMULATOR_TSAN) && emulator=(-std=c++23 -O1 -g -I. -DMEDLAR_EMULATOR_TSAN)
  for source in kernels/gpu/emulator/*.cpp tests/gpu/planted.cpp; do
    object=$work/$1_$(basename "$source" .cpp).o
    case $source in
      */kernels*.cpp | */planted.cpp) "$cxx" "${flags[@]}" -c "$source" -o "$object" || return 1 ;;
      *) "$cxx" "${emulator[@]}" -c "$source" -o "$object" || return 1 ;;
    esac
    objects+=("$object")
  done
  "$cxx" -fsanitize="$2" -o "$work/planted_$1" "${objects[@]}" "${libraries[@]:2}"
}
# reports NAME MISTAKE KIND: the sanitizer reports that kind, and the marked line.
reports() {
  local line
  line=$(grep -n "// planted: $2" tests/gpu/planted.cpp | cut -d: -f1)
  setarch -R "$work/planted_$1" "$2" >"$work/log" 2>&1
  if grep -q "$3" "$work/log" && grep -q "planted.cpp:$line" "$work/log"; then ok "$1 names $2"; else bad "$1 names $2"; tail -n 20 "$work/log"; fi
}
if command -v setarch >/dev/null && echo 'int main() {}' | "$cxx" -x c++ -fsanitize=thread -o "$work/probe" - 2>/dev/null; then
  expect "thread sanitizer: build" sanitized tsan thread
  expect "thread sanitizer: correct kernels" setarch -R "$work/planted_tsan" clean
  reports tsan missing_barrier "data race"
  reports tsan group_race "data race"
  expect "address sanitizer: build" sanitized asan address
  expect "address sanitizer: correct kernels" setarch -R "$work/planted_asan" clean
  reports asan device_overrun "heap-buffer-overflow"
  reports asan threadgroup_overrun "use-after-poison"
else
  skip "planted mistakes: no sanitizers for $cxx"
fi

# --- the emulator on another processor
arm=build/arm64
if command -v aarch64-linux-gnu-g++ >/dev/null && command -v qemu-aarch64 >/dev/null && [[ -d /usr/src/googletest ]]; then
  arm_build() {
    cmake -G Ninja -S tests/kernels/arm64 -B $arm -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64-linux.cmake" \
      -DCMAKE_BUILD_TYPE=Release && ninja -C $arm test_kernels_gpu
  }
  expect "arm64: build" arm_build
  expect "arm64: every kernel agrees with the references" \
    qemu-aarch64 -L /usr/aarch64-linux-gnu $arm/tests/kernels/gpu/test_kernels_gpu --gtest_brief=1 \
    "--gtest_filter=GpuCatalog*:*shuffled_scrambled"
else
  skip "arm64: aarch64-linux-gnu-g++, qemu-aarch64 or GoogleTest's sources are missing (Debian: g++-aarch64-linux-gnu, qemu-user, googletest)"
fi

[[ $failed == 0 ]] && echo "test-gpu: every check passed or was skipped"
exit $failed
