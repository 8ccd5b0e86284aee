// Public measurements of Macs (apple_speed.csv), and what the speed model says of each.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "host/machine.h"
#include "host/memory.h"
#include "host/speed.h"

namespace medlar::testing {

struct PublicRow {
  std::string machine, model, type;
  double prompt = 0, prompt_tps = 0;  // tokens, and tokens a second; 0: did not run
  double gen = 0, decode_tps = 0;
  std::string fits, use, source;  // yes, no or beyond; fit or check

  bool ran() const { return prompt_tps > 0; }
};

// Throws on a file that is not as it should be.
std::vector<PublicRow> read_public_rows(const std::filesystem::path& path);

// Plans of the rows' models with an f16 cache, each made once.
class RowPlans {
 public:
  const ModelPlan& plan(const PublicRow& row);
  bool fits(const PublicRow& row);
  // Reading the row's prompt; writing in the middle of its text.
  host::Prediction predict(const PublicRow& row, const host::SpeedConstants& constants = {});

 private:
  std::map<std::string, ModelPlan> plans_;
};

}  // namespace medlar::testing
