#!/bin/sh
# Builds the kernel tests for 64-bit Arm and runs them under qemu: once on a processor with every extension, once on
# one without 8-bit matrix products, and once without even dot products, where only the scalar table may run.
set -eu
cd "$(dirname "$0")/.."

for tool in aarch64-linux-gnu-g++ qemu-aarch64; do
  if ! command -v "$tool" >/dev/null; then
    echo "SKIPPED: kernels on arm64: $tool is missing (Debian: g++-aarch64-linux-gnu, qemu-user)"
    exit 0
  fi
done
if [ ! -d /usr/src/googletest ]; then
  echo "SKIPPED: kernels on arm64: GoogleTest's sources are missing (Debian: googletest)"
  exit 0
fi

build=build/arm64
cmake -G Ninja -S tests/kernels/arm64 -B "$build" -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64-linux.cmake" \
  -DCMAKE_BUILD_TYPE=Release >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
ninja -C "$build" test_kernels
for cpu in max cortex-a76 cortex-a72; do
  echo "== kernels on $cpu"
  qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu "$cpu" "$build/tests/kernels/test_kernels" --gtest_brief=1
done
