// Memory over time: parts add up to what the system says, peaks are kept, long runs are thinned.
#include <cstring>
#include <thread>

#include <gtest/gtest.h>

#include "base/page_memory.h"
#include "tune/memory_watch.h"

namespace medlar::tune {
namespace {

TEST(MemorySample, PartsAddUpToWhatIsResident) {
  const auto ledger = Ledger::make();
  Ledger::Charge kv = ledger->charge(MemoryUse::kv, 100), cache = ledger->charge(MemoryUse::cache, 50);
  Ledger::Charge scratch = ledger->charge(MemoryUse::scratch, 10);
  kv.set_used(70), cache.set_used(30), scratch.set_used(10);
  Ledger::Charge weights = ledger->charge(MemoryUse::weights, 1200);
  const MemorySample s = memory_sample(ledger->snapshot(), {.resident = 500, .anonymous = 100, .file = 400},
                                       {.resident = 2000, .anonymous = 600, .file = 1400});
  EXPECT_EQ(s[MemoryPart::weights], 1000U);
  EXPECT_EQ(s[MemoryPart::kv], 100U);
  EXPECT_EQ(s[MemoryPart::activations], 0U);
  EXPECT_EQ(s[MemoryPart::scratch], 10U);
  EXPECT_EQ(s[MemoryPart::rest], 890U);
  EXPECT_EQ(s.total(), 2000U);
  weights.resize(300);  // the model has no more: the others are the program's
  const MemorySample small =
      memory_sample(ledger->snapshot(), {.file = 400}, {.resident = 2000, .file = 1400});
  EXPECT_EQ(small[MemoryPart::weights], 300U);
  EXPECT_EQ(small.total(), 2000U);
}

TEST(MemorySample, WithoutTheSystemsFiguresWeightsAreTheLedgers) {
  const auto ledger = Ledger::make();
  Ledger::Charge weights = ledger->charge(MemoryUse::weights, 800);
  weights.set_used(800);
  const MemorySample s = memory_sample(ledger->snapshot(), {}, {.resident = 1000});
  EXPECT_EQ(s[MemoryPart::weights], 800U);
  EXPECT_EQ(s[MemoryPart::rest], 200U);
}

TEST(MemoryWatch, SeesWhatCameAndWent) {
  constexpr std::size_t kBytes = std::size_t{64} << 20;
  const auto ledger = Ledger::make();
  MemoryWatch watch(ledger, process_memory());
  {
    const PageMemory memory(kBytes);
    std::memset(memory.span().data(), 1, kBytes);
    Ledger::Charge charge = ledger->charge(MemoryUse::kv, kBytes);
    charge.set_used(kBytes);
    for (const std::size_t seen = watch.looks(); watch.looks() < seen + 2;) std::this_thread::yield();
  }
  watch.stop();
  const MemoryWatch::Extent &peak = watch.peak(), mean = watch.mean();
  EXPECT_EQ(peak.parts[static_cast<std::size_t>(MemoryPart::kv)], kBytes);
  EXPECT_LT(watch.samples().back()[MemoryPart::kv], kBytes);
  for (std::size_t i = 0; i < kMemoryParts; ++i) EXPECT_LE(mean.parts[i], peak.parts[i] * (1 + 1e-9));
  EXPECT_LE(mean.total, peak.total * (1 + 1e-9));
  EXPECT_GE(watch.samples().size(), 2U);
}

}  // namespace
}  // namespace medlar::tune
