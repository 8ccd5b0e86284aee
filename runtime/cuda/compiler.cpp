#include "runtime/cuda/compiler.h"

#include <array>

#include "base/error.h"
#include "base/log.h"
#include "runtime/gpu/library.h"

namespace medlar::runtime::cuda {
namespace {

using Program = struct OpaqueProgram*;
using Result = int;  // nvrtcResult; 0 is success

// NVIDIA's "NVRTC" reference.
struct Nvrtc {
  gpu::Library library{
      {"libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12", "/usr/local/cuda/lib64/libnvrtc.so"},
      "install NVRTC of the CUDA toolkit (libnvrtc), or use --device cpu"};
  Result (*create)(Program*, const char*, const char*, int, const char* const*, const char* const*) =
      library.get<Result(Program*, const char*, const char*, int, const char* const*, const char* const*)>(
          "nvrtcCreateProgram");
  Result (*compile)(Program, int, const char* const*) =
      library.get<Result(Program, int, const char* const*)>("nvrtcCompileProgram");
  Result (*log_size)(Program,
                     std::size_t*) = library.get<Result(Program, std::size_t*)>("nvrtcGetProgramLogSize");
  Result (*log)(Program, char*) = library.get<Result(Program, char*)>("nvrtcGetProgramLog");
  Result (*cubin_size)(Program,
                       std::size_t*) = library.get<Result(Program, std::size_t*)>("nvrtcGetCUBINSize");
  Result (*cubin)(Program, char*) = library.get<Result(Program, char*)>("nvrtcGetCUBIN");
  Result (*destroy)(Program*) = library.get<Result(Program*)>("nvrtcDestroyProgram");
  const char* (*error_string)(Result) = library.get<const char*(Result)>("nvrtcGetErrorString");
};

class Compilation {
 public:
  Compilation(const Nvrtc& nvrtc, const std::string& text) : nvrtc_(nvrtc) {
    check(nvrtc.create(&program_, text.c_str(), "kernels.cu", 0, nullptr, nullptr));
  }
  ~Compilation() { nvrtc_.destroy(&program_); }
  Compilation(const Compilation&) = delete;
  Compilation& operator=(const Compilation&) = delete;

  std::vector<std::byte> cubin(int capability) {
    // With what only this one has, of which prelude/wgmma.h is written.
    const std::string architecture =
        fmt::format("--gpu-architecture=sm_{}{}", capability, capability == 90 ? "a" : "");
    const std::array<const char*, 2> options{architecture.c_str(), "--std=c++17"};
    check(nvrtc_.compile(program_, static_cast<int>(options.size()), options.data()));
    std::size_t size = 0;
    check(nvrtc_.cubin_size(program_, &size));
    std::vector<std::byte> result(size);
    check(nvrtc_.cubin(program_, reinterpret_cast<char*>(result.data())));
    return result;
  }

 private:
  void check(Result result) const {
    constexpr std::size_t kShown = 400;
    if (result == 0) return;
    std::string log;
    std::size_t size = 0;
    if (program_ && nvrtc_.log_size(program_, &size) == 0 && size > 1) {
      log.resize(size);
      nvrtc_.log(program_, log.data());
    }
    throw Error(ErrorKind::device,
                fmt::format("the GPU kernels do not compile: {} {}", nvrtc_.error_string(result),
                            printable(log, kShown)),
                "use --device cpu");
  }

  const Nvrtc& nvrtc_;
  Program program_ = nullptr;
};

}  // namespace

std::vector<std::byte> compile(const std::string& text, int capability) {
  const Nvrtc nvrtc;
  return Compilation(nvrtc, text).cubin(capability);
}

}  // namespace medlar::runtime::cuda
