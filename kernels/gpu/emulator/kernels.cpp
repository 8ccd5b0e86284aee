#include "kernels/gpu/emulator/kernels.h"

#include "kernels/gpu/attend_heads.h"
#include "kernels/gpu/attention_combine.h"
#include "kernels/gpu/best_logits.h"
#include "kernels/gpu/catalog.h"
#include "kernels/gpu/elementwise.h"
#include "kernels/gpu/expert_pairs.h"
#include "kernels/gpu/expert_sum.h"
#include "kernels/gpu/flash_combine.h"
#include "kernels/gpu/heads.h"
#include "kernels/gpu/layer_norm.h"
#include "kernels/gpu/linear_sum.h"
#include "kernels/gpu/peak.h"
#include "kernels/gpu/prepare.h"
#include "kernels/gpu/quantize.h"
#include "kernels/gpu/recurrent.h"
#include "kernels/gpu/rms_norm.h"
#include "kernels/gpu/route.h"
#include "kernels/gpu/rows.h"
#include "kernels/gpu/store_heads.h"

#define SMALL_KERNELS(V)            \
  MEDLAR_GPU_PLAIN_KERNELS(V)       \
  MEDLAR_GPU_EMBED_KERNELS(V)       \
  MEDLAR_GPU_STORE_HEADS_KERNELS(V) \
  MEDLAR_GPU_ATTEND_HEADS_KERNELS(V)

SMALL_KERNELS(MEDLAR_EMULATOR_DEFINE)

namespace medlar::emulator {

std::span<const EmulatedKernel> plain_kernels() {
  static constexpr EmulatedKernel kKernels[] = {SMALL_KERNELS(MEDLAR_EMULATOR_BIND)};
  return kKernels;
}

const EmulatedKernel* find_kernel(std::string_view name) {
  for (const auto part : {plain_kernels(), linear_vec_kernels(), linear_few_kernels(), linear_one_kernels(),
                          linear_tile_kernels(), linear_rows_kernels(), linear_wgmma_kernels(),
                          expert_kernels(), attention_kernels()})
    for (const EmulatedKernel& kernel : part)
      if (kernel.name == name) return &kernel;
  return nullptr;
}

}  // namespace medlar::emulator
