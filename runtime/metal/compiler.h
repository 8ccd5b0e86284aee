// Kernels compiled by Metal's own compiler, as pipelines by number.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/gpu/kernels.h"
#include "runtime/metal/system.h"

namespace medlar::runtime::metal {

class Pipelines {
 public:
  explicit Pipelines(const System& system) : system_(system) {}

  // Compiles those that are missing, as one text. Throws Error(device) naming the kernel at fault, with the
  // beginning of what the compiler says.
  void prepare(std::span<const medlar::gpu::KernelInfo* const> kernels);
  int number(std::string_view kernel) const { return numbers_.at(kernel); }
  Id operator[](int number) const { return pipelines_[static_cast<std::size_t>(number)].get(); }

 private:
  struct Library {
    Owned handle;
    std::string refusal;  // where there is none
  };
  Library compile(std::span<const medlar::gpu::KernelInfo> kernels) const;
  [[noreturn]] void refuse(std::span<const medlar::gpu::KernelInfo> kernels,
                           const std::string& refusal) const;
  Owned make(const Owned& library, const medlar::gpu::KernelInfo& kernel) const;

  const System& system_;
  std::vector<Owned> pipelines_;
  std::map<std::string_view, int> numbers_;  // names are those of the catalogue
};

}  // namespace medlar::runtime::metal
