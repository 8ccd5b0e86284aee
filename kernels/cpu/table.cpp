// Picks entries by operation and type from the tables of the instruction sets that run here.
#include "kernels/cpu/table.h"

#include "base/assert.h"
#include "base/error.h"
#include "formats/all.h"
#include "kernels/cpu/isas.h"
#include "kernels/ref/ref.h"

namespace medlar::kernels {

namespace {

CpuLevel level_of(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return CpuLevel::scalar;
    case Isa::avx2:
    case Isa::avx2_vnni:
      return CpuLevel::avx2;
    case Isa::avx512:
      return CpuLevel::avx512;
    case Isa::amx:
      return CpuLevel::amx;
    case Isa::neon:
    case Isa::neon_i8mm:
      return CpuLevel::neon;
    case Isa::accelerate:
      return CpuLevel::accelerate;
  }
  return CpuLevel::scalar;
}

}  // namespace

std::span<const KernelEntry> cpu_entries(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return scalar::entries();
#if defined(MEDLAR_HAS_AVX2)
    case Isa::avx2:
      return avx2::entries();
#endif
#if defined(MEDLAR_HAS_AVX2_VNNI)
    case Isa::avx2_vnni:
      return avx2_vnni::entries();
#endif
#if defined(MEDLAR_HAS_AVX512)
    case Isa::avx512:
      return avx512::entries();
#endif
#if defined(MEDLAR_HAS_AMX)
    case Isa::amx:
      return amx::entries();
#endif
#if defined(MEDLAR_HAS_NEON)
    case Isa::neon:
      return neon::entries();
#endif
#if defined(MEDLAR_HAS_NEON_I8MM)
    case Isa::neon_i8mm:
      return neon_i8mm::entries();
#endif
#if defined(MEDLAR_HAS_ACCELERATE)
    case Isa::accelerate:
      return accelerate::entries();
#endif
    default:
      return {};
  }
}

bool runs_here(Isa isa, const CpuFeatures& features) {
  if (!supports(features, level_of(isa))) return false;
  if (isa == Isa::avx2_vnni) return features.avxvnni;
  if (isa == Isa::neon) return features.dotprod;
  if (isa == Isa::neon_i8mm) return features.dotprod && features.i8mm;
  return true;
}

std::string_view name(Isa isa) {
  if (isa == Isa::avx2_vnni) return "avx2+vnni";
  if (isa == Isa::neon_i8mm) return "neon+i8mm";
  return medlar::name(level_of(isa));
}

CpuTable::CpuTable(CpuLevel level, const CpuFeatures& features) {
  for (const Isa isa : kIsas) {
    if (level_of(isa) > level || !runs_here(isa, features)) continue;
    prefer(cpu_entries(isa));
  }
}

CpuTable CpuTable::reference() {
  CpuTable table;
  table.prefer(ref_entries());
  return table;
}

void CpuTable::prefer(std::span<const KernelEntry> entries) {
  for (const KernelEntry& e : entries) {
    const bool exact = e.op == KernelOp::rows_dot && e.act == ActKind::f32;
    MEDLAR_ASSERT(static_cast<std::size_t>(e.type) < kTypes);
    best_[static_cast<std::size_t>(e.op)][exact][static_cast<std::size_t>(e.type)] = &e;
  }
}

const KernelEntry* CpuTable::best(KernelOp op, DType type, bool exact) const {
  const auto t = static_cast<std::size_t>(type);
  return t < kTypes ? best_[static_cast<std::size_t>(op)][exact][t] : nullptr;
}

bool CpuTable::has(KernelOp op, DType type) const {
  return best(op, type, false) != nullptr || best(op, type, true) != nullptr;
}

const KernelEntry& CpuTable::find(KernelOp op, DType type) const {
  if (op == KernelOp::rows_dot) return rows_dot(type);
  if (const KernelEntry* e = best(op, type, false)) return *e;
  fail(ErrorKind::unsupported, "no CPU kernel for operation {} on type {}", name(op), format_info(type).name);
}

const KernelEntry& CpuTable::rows_dot(DType type, bool exact) const {
  const KernelEntry* e = best(KernelOp::rows_dot, type, exact);
  if (!e && !exact) e = best(KernelOp::rows_dot, type, true);  // f32, f16 and bf16 have no other
  if (!e) fail(ErrorKind::unsupported, "no CPU product for weights of type {}", format_info(type).name);
  return *e;
}

}  // namespace medlar::kernels
