// How fast this machine decodes: the kernels themselves, over memory that no cache holds.
#pragma once

#include <cstddef>
#include <vector>

#include "base/page_memory.h"
#include "base/team.h"
#include "kernels/cpu/table.h"

namespace medlar::tune {

struct DecodeRates {
  double read = 0;    // bytes of weights a second
  double attend = 0;  // bytes of cached keys and values a second
};

// Products of one activation row with a matrix, and attention of one token over a long context, in turn: what
// else the machine does slows both alike. Rates are medians, as a model meets the machine's common moments
// and not its best.
class DecodePace {
 public:
  DecodePace(Team& team, const kernels::CpuTable& table);

  void turn();
  // After at least one turn.
  DecodeRates rates() const;

 private:
  double product_rate();
  double attention_rate();

  Team& team_;
  const kernels::KernelEntry& dot_;
  const kernels::KernelEntry& attention_;
  PageMemory memory_;
  std::vector<double> read_, attend_;  // bytes a second of each turn
};

}  // namespace medlar::tune
