#include <limits>

#include <gtest/gtest.h>

#include "base/flush_denormals.h"

namespace medlar {
namespace {

float halved(float x) {
  const volatile float loaded = x;  // or the compiler would do it
  return loaded / 2;
}

TEST(FlushDenormals, LastsAsLongAsItLives) {
  constexpr float kSmallest = std::numeric_limits<float>::min();
  EXPECT_GT(halved(kSmallest), 0);
#if defined(__x86_64__) || defined(__aarch64__)
  {
    const FlushDenormals flush;
    EXPECT_EQ(halved(kSmallest), 0);
    {
      const FlushDenormals again;
      EXPECT_EQ(halved(kSmallest), 0);
    }
    EXPECT_EQ(halved(kSmallest), 0);
  }
#endif
  EXPECT_GT(halved(kSmallest), 0);
}

}  // namespace
}  // namespace medlar
