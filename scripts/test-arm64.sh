#!/bin/sh
# Builds the kernel tests for 64-bit Arm and runs them under qemu: all on a processor with every extension, some on
# one without 8-bit matrix products, and some without even dot products, where only the scalar table may run.
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
run() {
  echo "== kernels on $1"
  qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu "$1" "$build/tests/kernels/test_kernels" --gtest_brief=1 \
    --gtest_filter="$2"
}
run max '*'
run cortex-a76 'CpuTable.*:*neon_rows_dot_q*:*neon_attention*:*neon_prepare'
run cortex-a72 'CpuTable.*:*scalar_linear'
