#include "runtime/metal/compiler.h"

#include "base/error.h"

namespace medlar::runtime::metal {
namespace {

constexpr const char* kHint = "use --device cpu";
constexpr std::uint64_t kSimdWidth = 32;  // lanes of a simdgroup, which kernels count on

}  // namespace

void Pipelines::prepare(std::span<const medlar::gpu::KernelInfo* const> kernels) {
  std::vector<medlar::gpu::KernelInfo> missing;
  for (const medlar::gpu::KernelInfo* kernel : kernels)
    if (!numbers_.contains(kernel->name)) missing.push_back(*kernel);
  if (missing.empty()) return;
  const Pool pool(system_.objc);
  const Library library = compile(missing);
  if (!library.handle) refuse(missing, library.refusal);
  for (const medlar::gpu::KernelInfo& kernel : missing) {
    pipelines_.push_back(make(library.handle, kernel));
    numbers_[kernel.name] = static_cast<int>(pipelines_.size() - 1);
  }
}

Pipelines::Library Pipelines::compile(std::span<const medlar::gpu::KernelInfo> kernels) const {
  const Methods& call = system_.call;
  const Owned options = system_.make("MTLCompileOptions");
  call.set_language(options.get(), kLanguage3_0);
  // Safe mathematics: infinities of masked scores are compared with, and sums keep their order.
  if (call.set_math_mode.exists(options.get()))
    call.set_math_mode(options.get(), kMathSafe);
  else
    call.set_fast_math(options.get(), false);
  Id error = nullptr;
  Owned library(system_.objc,
                call.compile(system_.device.get(), system_.string(medlar::gpu::kernel_text(kernels)),
                             options.get(), &error));
  if (library) return {std::move(library), {}};
  return {{}, system_.reason(error)};
}

// The first kernel that is refused by itself is the one at fault.
void Pipelines::refuse(std::span<const medlar::gpu::KernelInfo> kernels, const std::string& refusal) const {
  for (const medlar::gpu::KernelInfo& kernel : kernels) {
    const Library alone = compile({&kernel, 1});
    if (alone.handle) continue;
    throw Error(ErrorKind::device,
                fmt::format("Metal: the kernel {} does not compile: {}", kernel.name, alone.refusal), kHint);
  }
  throw Error(ErrorKind::device, fmt::format("Metal: the kernels do not compile together: {}", refusal),
              kHint);
}

Owned Pipelines::make(const Owned& library, const medlar::gpu::KernelInfo& kernel) const {
  const Methods& call = system_.call;
  const Owned function(system_.objc,
                       call.find_function(library.get(), system_.string(std::string(kernel.name))));
  if (!function)
    throw Error(ErrorKind::device, fmt::format("Metal: there is no kernel {}", kernel.name), kHint);
  Id error = nullptr;
  Owned pipeline(system_.objc, call.make_pipeline(system_.device.get(), function.get(), &error));
  if (!pipeline)
    throw Error(ErrorKind::device,
                fmt::format("Metal: the kernel {} makes no pipeline: {}", kernel.name, system_.reason(error)),
                kHint);
  const auto width = call.simd_width(pipeline.get()), most = call.max_threads(pipeline.get());
  if (width != kSimdWidth || most < kernel.threads)
    throw Error(
        ErrorKind::device,
        fmt::format("Metal: the kernel {} would run in {} threads of simdgroups of {}, not in {} of {}",
                    kernel.name, most, width, kernel.threads, kSimdWidth),
        kHint);
  return pipeline;
}

}  // namespace medlar::runtime::metal
