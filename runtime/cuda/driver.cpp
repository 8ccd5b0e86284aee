#include "runtime/cuda/driver.h"

#include "base/error.h"

namespace medlar::runtime::cuda {
namespace {

constexpr int kOldest = 12000;  // CUDA 12.0

}  // namespace

#define MEDLAR_LOAD(member, symbol, ...) , member(library_.get<__VA_ARGS__>(symbol))
#define MEDLAR_TRY(member, symbol, ...) , member(library_.try_get<__VA_ARGS__>(symbol))
Driver::Driver()
    : library_({"libcuda.so.1", "libcuda.so"}, "install NVIDIA's driver, or use --device cpu")
          MEDLAR_CUDA_DRIVER(MEDLAR_LOAD) MEDLAR_CUDA_DRIVER_NEWER(MEDLAR_TRY) {
#undef MEDLAR_LOAD
#undef MEDLAR_TRY
  check(init(0), "start the CUDA driver");
  int version = 0;
  check(driver_version(&version), "ask the CUDA driver for its version");
  if (version < kOldest)
    throw Error(ErrorKind::device,
                fmt::format("the CUDA driver is of version {}.{}", version / 1000, version % 1000 / 10),
                fmt::format("install one for CUDA {}.0 or later, or use --device cpu", kOldest / 1000));
}

void Driver::check(Result result, const char* doing) const {
  if (result == 0) return;
  const char* text = nullptr;
  if (error_string(result, &text) != 0 || !text) text = "unknown error";
  const ErrorKind kind = result == kOutOfMemory ? ErrorKind::out_of_memory : ErrorKind::device;
  throw Error(kind, fmt::format("CUDA: cannot {}: {} ({})", doing, text, result),
              kind == ErrorKind::out_of_memory
                  ? "use a smaller context (--ctx) or model, fewer --gpu-layers, or --device cpu"
                  : "");
}

}  // namespace medlar::runtime::cuda
