// Files of log-probabilities: whatever the bytes, reading ends in a medlar::Error or in rows that lie inside
// them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "eval/kl_base.h"

namespace medlar::fuzz {
namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

// Reads every row, and scores it against a model that finds all tokens alike.
void check(std::span<const std::byte> file) {
  try {
    const eval::KlBase base(file, "fuzz.kld");
    require(std::ssize(base.tokens()) == base.context() * base.windows());
    for (const text::TokenId token : base.tokens()) require(token >= 0 && token < base.vocab());
    const std::vector<float> alike(static_cast<std::size_t>(base.vocab()), 1.0F);
    const eval::LogSoftmax norm = eval::log_softmax(alike);
    for (std::int64_t window = 0; window < base.windows(); ++window) {
      for (std::int64_t i = 0; i < base.scored(); ++i) {
        const eval::StoredRow row = base.row(window, i);
        require(row.vocab() == base.vocab() && row.values.data() >= file.data() &&
                row.values.data() + row.values.size() <= file.data() + file.size());
        eval::score(alike, norm, base.tokens()[0], row);
      }
      base.leave(window);
    }
    base.check_same_text(base.tokens());
  } catch (const Error&) {
  }
}

template <class T>
void append(std::vector<std::byte>& bytes, T value) {
  const auto* at = reinterpret_cast<const std::byte*>(&value);
  bytes.insert(bytes.end(), at, at + sizeof(value));
}

// A header of small counts, tokens that mostly exist, and rows of the rest; sometimes a few bytes short.
void check_made(std::span<const std::uint8_t> data) {
  if (data.size() < 4) return;
  const std::int32_t context = data[0] % 16, vocab = data[1] % 32, windows = data[2] % 4;
  std::vector<std::byte> file;
  for (const char c : std::string("_logits_")) file.push_back(static_cast<std::byte>(c));
  for (const std::int32_t count : {context, vocab, windows}) append(file, count);
  std::size_t at = 4;
  const auto next = [&] { return at < data.size() ? data[at++] : std::uint8_t{0}; };
  for (std::int32_t i = 0; i < context * windows; ++i)
    append(file, static_cast<std::int32_t>(next() % (vocab + (data[3] & 1) + 1)));
  const std::int64_t rows = windows * static_cast<std::int64_t>(context) * eval::stored_row_bytes(vocab);
  for (std::int64_t i = 0; i < rows; ++i) append(file, next());
  file.resize(file.size() - std::min<std::size_t>(file.size(), data[3] >> 1));
  check(file);
}

}  // namespace
}  // namespace medlar::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  medlar::fuzz::check(std::as_bytes(std::span(data, size)));
  medlar::fuzz::check_made(std::span(data, size));
  return 0;
}
