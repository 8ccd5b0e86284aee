#include "kernels/gpu/kernels.h"

#include <algorithm>
#include <set>

#include "kernels/gpu/catalog.h"
#include "kernels/gpu/embedded.h"
#include "kernels/gpu/params.h"

namespace medlar::gpu {
namespace {

// One level of expansion before the instance becomes text.
#define MEDLAR_TEXT(...) #__VA_ARGS__
#define MEDLAR_ENTRY(file, threads, name, ...) KernelInfo{#name, file, MEDLAR_TEXT(__VA_ARGS__), threads, 0},
#define MEDLAR_RING(file, threads, name, ...) \
  KernelInfo{#name, file, MEDLAR_TEXT(__VA_ARGS__), threads, kOneRingBytes},
#define MEDLAR_NATIVE(file, threads, shared, name, ...) \
  KernelInfo{#name, file, MEDLAR_TEXT(__VA_ARGS__), threads, shared},
constexpr KernelInfo kKernels[] = {MEDLAR_GPU_RINGLESS_KERNELS(MEDLAR_ENTRY) MEDLAR_GPU_RING_KERNELS(
    MEDLAR_RING) MEDLAR_GPU_NATIVE_KERNELS(MEDLAR_NATIVE)};
#undef MEDLAR_NATIVE
#undef MEDLAR_RING
#undef MEDLAR_ENTRY
#undef MEDLAR_TEXT

// The header behind `#include "..."`, or empty.
std::string_view included(std::string_view line) {
  constexpr std::string_view kInclude = "#include \"";
  if (!line.starts_with(kInclude)) return {};
  line.remove_prefix(kInclude.size());
  return line.substr(0, line.find('"'));
}

// What only the host compiles: the formats' vocabulary, which the preludes provide themselves, and the
// emulator.
bool host_only(std::string_view path) {
  return path == "formats/portable.h" || path == "formats/format.h" ||
         path == "kernels/gpu/prelude/emulator.h" || path == "kernels/gpu/prelude/wgmma_emulator.h" ||
         path == "kernels/gpu/prelude/lane_rows_emulator.h";
}

void append(std::string_view path, std::set<std::string_view>& seen, std::string& text) {
  if (host_only(path) || !seen.insert(path).second) return;
  const bool is_format = path.starts_with("formats/");  // what they take from libraries is for the host
  std::string_view rest = embedded_file(path);
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n') + 1);
    rest.remove_prefix(line.size());
    if (const std::string_view header = included(line); !header.empty())
      append(header, seen, text);
    else if (!line.starts_with("#pragma once") && !(is_format && line.starts_with("#include <")))
      text += line;
  }
}

}  // namespace

std::span<const KernelInfo> kernels() { return kKernels; }

const KernelInfo* find_kernel(std::string_view name) {
  const auto* found = std::ranges::find(kKernels, name, &KernelInfo::name);
  return found == std::end(kKernels) ? nullptr : found;
}

std::string kernel_text(std::span<const KernelInfo> kernels) {
  std::string text;
  std::set<std::string_view> seen;
  append("kernels/gpu/prelude/prelude.h", seen, text);
  for (const KernelInfo& kernel : kernels) append(kernel.file, seen, text);
  for (const KernelInfo& kernel : kernels) {
    text += kernel.instance;
    text += '\n';
  }
  return text;
}

}  // namespace medlar::gpu
