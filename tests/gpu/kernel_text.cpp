// Prints what a GPU's compiler gets: `kernel_text` all kernels, `kernel_text NAME...` some, `kernel_text
// --list` names.
#include <cstdio>
#include <cstring>
#include <span>
#include <vector>

#include "kernels/gpu/kernels.h"

int main(int argc, char** argv) {
  using namespace medlar::gpu;
  const std::span<char*> names(argv + 1, static_cast<std::size_t>(argc - 1));
  if (names.size() == 1 && std::strcmp(names[0], "--list") == 0) {
    for (const KernelInfo& kernel : kernels())
      std::printf("%.*s\n", static_cast<int>(kernel.name.size()), kernel.name.data());
    return 0;
  }
  std::vector<KernelInfo> chosen;
  for (const char* name : names) {
    const KernelInfo* kernel = find_kernel(name);
    if (!kernel) return std::fprintf(stderr, "no kernel %s\n", name), 2;
    chosen.push_back(*kernel);
  }
  std::fputs(kernel_text(names.empty() ? kernels() : std::span<const KernelInfo>(chosen)).c_str(), stdout);
  return 0;
}
