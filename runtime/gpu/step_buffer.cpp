#include "runtime/gpu/step_buffer.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "kernels/gpu/params.h"

namespace medlar::runtime::gpu {
namespace {

constexpr std::size_t kAlignWords = 16;
constexpr std::size_t kGapWords = 4096;  // a copy costs as much as so many words that nobody needs
constexpr std::size_t index(StepField f) { return static_cast<std::size_t>(f); }

// Rows of the page tables that the step's tokens use.
std::size_t used_sequences(const kernels::Step& step) {
  std::int32_t last = -1;
  for (std::int32_t t = 0; t < step.tokens; ++t) last = std::max(last, step.sequences[t]);
  return static_cast<std::size_t>(last + 1);
}

bool starts_run(const kernels::Step& step, std::int32_t t) {
  return t == 0 || step.sequences[t] != step.sequences[t - 1];
}

}  // namespace

StepBuffer::Words StepBuffer::capacities(const ProgramOptions& options) {
  Words words{};
  words[index(StepField::counts)] = sizeof(medlar::gpu::StepCounts) / sizeof(std::int32_t);
  for (StepField f : {StepField::token_ids, StepField::positions, StepField::sequences})
    words[index(f)] = static_cast<std::size_t>(options.max_tokens);
  words[index(StepField::runs)] = static_cast<std::size_t>(options.max_tokens) + 1;
  words[index(StepField::rows)] = static_cast<std::size_t>(options.max_logit_rows);
  for (std::size_t g = 0; g < kernels::kMaxKvGroups; ++g)
    words[index(StepField::pages) + g] =
        static_cast<std::size_t>(options.max_sequences) * static_cast<std::size_t>(options.kv_pages[g]);
  return words;
}

// No field is empty: every binding lies inside the buffer.
StepBuffer::Words StepBuffer::offsets(const Words& capacity, std::size_t& end) {
  Words offset{};
  end = 0;
  for (std::size_t i = 0; i < kFields; ++i) {
    offset[i] = end;
    end += (capacity[i] / kAlignWords + 1) * kAlignWords;
  }
  return offset;
}

std::size_t StepBuffer::bytes(const ProgramOptions& options) {
  std::size_t end = 0;
  offsets(capacities(options), end);
  return end * sizeof(std::int32_t);
}

StepBuffer::StepBuffer(Device& device, const ProgramOptions& options)
    : device_(device), capacity_(capacities(options)) {
  place();
}

void StepBuffer::place() {
  std::size_t end = 0;
  offset_ = offsets(capacity_, end);
  image_.assign(end, 0);
  buffer_ = device_.allocate(end * sizeof(std::int32_t));
}

std::span<std::int32_t> StepBuffer::field(std::size_t i) {
  return std::span(image_).subspan(offset_[i], capacity_[i]);
}

int StepBuffer::runs(const kernels::Step& step) {
  int n = 0;
  for (std::int32_t t = 0; t < step.tokens; ++t) n += starts_run(step, t);
  return n;
}

bool StepBuffer::send(const kernels::Step& step) {
  const std::size_t sequences = used_sequences(step);
  bool moved = false;
  for (std::size_t g = 0; g < kernels::kMaxKvGroups; ++g) {
    const std::size_t words = sequences * static_cast<std::size_t>(step.pages[g].stride);
    std::size_t& capacity = capacity_[index(StepField::pages) + g];
    if (words > capacity) capacity = 2 * words, moved = true;
  }
  if (moved) place();

  const auto put = [&](std::size_t i, const std::int32_t* from, std::size_t words) {
    MEDLAR_ASSERT(words <= capacity_[i]);
    std::copy_n(from, words, field(i).begin());
  };
  const auto tokens = static_cast<std::size_t>(step.tokens);
  starts_.clear();
  for (std::int32_t t = 0; t < step.tokens; ++t)
    if (starts_run(step, t)) starts_.push_back(t);
  medlar::gpu::StepCounts counts{step.tokens, step.logit_rows, {}, static_cast<std::int32_t>(starts_.size())};
  starts_.push_back(step.tokens);
  for (std::size_t g = 0; g < kernels::kMaxKvGroups; ++g) counts.page_stride[g] = step.pages[g].stride;
  std::memcpy(field(index(StepField::counts)).data(), &counts, sizeof counts);
  put(index(StepField::token_ids), step.token_ids, tokens);
  put(index(StepField::positions), step.positions, tokens);
  put(index(StepField::sequences), step.sequences, tokens);
  put(index(StepField::runs), starts_.data(), starts_.size());
  put(index(StepField::rows), step.rows, static_cast<std::size_t>(step.logit_rows));
  std::size_t begin = 0, end = offset_[index(StepField::pages)];  // to be written
  const auto write = [&] {
    device_.write(*buffer_, begin * sizeof(std::int32_t),
                  std::as_bytes(std::span(image_).subspan(begin, end - begin)));
  };
  for (std::size_t g = 0; g < kernels::kMaxKvGroups; ++g) {
    const std::size_t words = sequences * static_cast<std::size_t>(step.pages[g].stride);
    if (!step.pages[g].pages || words == 0) continue;
    const std::size_t field = index(StepField::pages) + g;
    put(field, step.pages[g].pages, words);
    if (offset_[field] - end > kGapWords) write(), begin = offset_[field];
    end = offset_[field] + words;
  }
  write();
  return moved;
}

Binding StepBuffer::binding(int field) const {
  return {buffer_.get(), offset_[static_cast<std::size_t>(field)] * sizeof(std::int32_t)};
}

}  // namespace medlar::runtime::gpu
