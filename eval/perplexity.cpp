#include "eval/perplexity.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>

#include <fmt/format.h>

#include "base/error.h"

namespace medlar::eval {
namespace {

constexpr std::int64_t kScoreBytes = 64 << 20;  // of logits at once: 64 rows of the largest vocabularies

using Tokens = std::span<const text::TokenId>;

class Scorer {
 public:
  Scorer(Engine& engine, const Windows& windows, const ScoreOptions& options)
      : windows_(windows),
        options_(options),
        vocab_(engine.description().vocab),
        rows_(engine.score_rows()),
        step_(engine.batch()),
        session_(engine.open_session()) {
    if (!options.against) return;
    rows_ = std::min<std::int64_t>(rows_, options.against->score_rows());
    base_.emplace(options.against->open_session());
  }

  Scores run() {
    for (std::int64_t window = 0; window < windows_.count(); ++window) {
      if (!run_window(window)) return std::move(scores_);
      for (const TokenScore& s : std::span(scores_.tokens).last(static_cast<std::size_t>(windows_.scored())))
        nll_ += s.nll;
      scores_.running.push_back(std::exp(nll_ / static_cast<double>(scores_.tokens.size())));
      if (options_.stored) options_.stored->leave(window);
      tell();
    }
    scores_.complete = true;
    return std::move(scores_);
  }

 private:
  // False: cancelled, and the window left out.
  bool run_window(std::int64_t window) {
    const std::vector<text::TokenId> all = windows_.window(window);
    const Tokens tokens(all);
    if (!read_unscored(tokens.first(static_cast<std::size_t>(windows_.first())))) return false;
    const std::size_t before = scores_.tokens.size();
    // The last token is only ever predicted.
    const std::int64_t end = windows_.length() - 1;
    for (std::int64_t at = windows_.first(); at < end;) {
      const std::int64_t count = std::min(rows_, end - at);
      if (cancelled()) {
        scores_.tokens.resize(before);
        return false;
      }
      score_step(tokens.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(count) + 1),
                 {.window = window, .position = at});
      at += count;
    }
    ++scores_.read;
    return true;
  }

  struct Place {
    std::int64_t window = 0, position = 0;
  };

  bool read_unscored(Tokens tokens) {
    session_.reset();
    if (base_) base_->reset();
    for (std::int64_t end = 0; end < std::ssize(tokens);) {
      if (cancelled()) return false;
      const std::int64_t count = std::min(step_, std::ssize(tokens) - end);
      end += count;
      session_.feed(tokens.first(static_cast<std::size_t>(end)));
      if (base_) base_->feed(tokens.first(static_cast<std::size_t>(end)));
      scores_.read += count;
      tell();
    }
    return true;
  }

  // Reads all but the last of `tokens`, each of which is followed by the next.
  void score_step(Tokens tokens, Place place) {
    const Tokens read = tokens.first(tokens.size() - 1), next = tokens.subspan(1);
    const std::span<const float> logits = session_.extend(read);
    const std::span<const float> base = base_ ? base_->extend(read) : std::span<const float>();
    const std::size_t first = scores_.tokens.size();
    scores_.tokens.resize(first + read.size());
    const std::span<TokenScore> scores = std::span(scores_.tokens).subspan(first);
    const auto row_bytes = static_cast<std::size_t>(stored_row_bytes(vocab_));
    if (options_.save) stored_.resize(read.size() * row_bytes);
    std::atomic<std::size_t> taken = 0;
    const auto work = [&](int) {
      for (std::size_t i = taken++; i < read.size(); i = taken++) {
        const std::span<const float> row = row_of(logits, i);
        const LogSoftmax norm = log_softmax(row);
        if (options_.stored)
          scores[i] = score(row, norm, next[i], base_row(place, i));
        else
          scores[i] = base_ ? score(row, norm, next[i], row_of(base, i)) : score(row, norm, next[i]);
        if (options_.save) store_row(row, norm, std::span(stored_).subspan(i * row_bytes, row_bytes));
      }
    };
    options_.team->run(work);
    check(scores, place);
    if (options_.save) options_.save->write(stored_);
    scores_.read += std::ssize(read);
    tell();
  }

  std::span<const float> row_of(std::span<const float> logits, std::size_t row) const {
    const auto vocab = static_cast<std::size_t>(vocab_);
    return logits.subspan(row * vocab, vocab);
  }

  StoredRow base_row(Place place, std::size_t row) const {
    return options_.stored->row(place.window,
                                place.position - windows_.first() + static_cast<std::int64_t>(row));
  }

  void check(std::span<const TokenScore> scores, Place place) const {
    for (std::size_t i = 0; i < scores.size(); ++i) {
      const TokenScore& s = scores[i];
      if (std::isfinite(s.nll) && std::isfinite(s.base_nll) && std::isfinite(s.kl)) continue;
      // A base without numbers has none for this token either.
      const bool by_model = std::isfinite(s.base_nll);
      const std::string base = options_.stored ? options_.stored->name() : "the base";
      throw Error(ErrorKind::bad_file,
                  fmt::format("{}: in window {}, after position {}, a log-probability is no number",
                              by_model ? "the model" : base, place.window + 1,
                              place.position + static_cast<std::int64_t>(i)),
                  by_model || options_.against ? "medlar verify tells whether the file is damaged"
                                               : "make the base again");
    }
  }

  bool cancelled() const { return options_.cancel && options_.cancel->load(std::memory_order_relaxed); }

  void tell() const {
    if (!options_.on_step) return;
    options_.on_step({.read = scores_.read,
                      .total = windows_.count() * windows_.length(),
                      .perplexity = scores_.running.empty() ? 0 : scores_.running.back()});
  }

  const Windows& windows_;
  const ScoreOptions& options_;
  std::int64_t vocab_, rows_, step_;  // rows, step: tokens
  Session session_;
  std::optional<Session> base_;
  Scores scores_;
  double nll_ = 0;                 // sum over the tokens of whole windows
  std::vector<std::byte> stored_;  // rows of a step
};

}  // namespace

EngineOptions scoring(EngineOptions options, const Windows& windows, std::shared_ptr<Team> team) {
  options.context = windows.length();
  options.score_bytes = kScoreBytes;
  options.team = std::move(team);
  return options;
}

Scores score_windows(Engine& engine, const Windows& windows, const ScoreOptions& options) {
  return Scorer(engine, windows, options).run();
}

}  // namespace medlar::eval
