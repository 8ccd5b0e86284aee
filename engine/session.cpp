#include <algorithm>
#include <chrono>
#include <utility>

#include "engine/impl.h"
#include "engine/stop_filter.h"
#include "text/token_stream.h"

namespace medlar {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

double per_second(std::int64_t count, double ms) {
  return count > 0 && ms > 0 ? static_cast<double>(count) / ms * 1000 : 0;
}

}  // namespace

struct Session::Impl {
  std::shared_ptr<Engine> engine;
  Timeline timeline;

  explicit Impl(std::shared_ptr<Engine> e)
      : engine(std::move(e)),
        timeline(engine->impl_->model.graph, *engine->impl_->program, engine->impl_->context,
                 engine->impl_->options.batch) {}
  ~Impl() {
    timeline.rewind_to({});
    engine->impl_->open = false;
  }

  Engine::Impl& e() const { return *engine->impl_; }
};

namespace {

// One call of Session::generate.
class Run {
 public:
  Run(Engine::Impl& engine, Timeline& timeline, const GenerateOptions& options)
      : engine_(engine),
        timeline_(timeline),
        options_(options),
        sampler_(options.sampler, engine.model.config.vocab, dry_breakers()),
        stream_(*engine.tokenizer),
        stops_(options.stop) {}

  Generation operator()(std::span<const std::int32_t> prompt) {
    const Clock::time_point start = Clock::now();
    out_.seed = sampler_.seed();
    std::span<const float> logits = read(prompt);
    out_.timings.prompt_ms = milliseconds(start, Clock::now());
    history_.assign(prompt.begin(), prompt.end());
    Clock::time_point first{}, last = Clock::now();
    while (!done_) {
      const std::int32_t token = choose(logits);
      last = Clock::now();
      if (first == Clock::time_point{}) first = last;
      if (done_ || !take(token, logits)) break;
      if (cancelled() || full()) break;
      logits = timeline_.append({&token, 1}, Timeline::Logits::last);
    }
    finish(start, first, last);
    return std::move(out_);
  }

 private:
  bool cancelled() {
    if (!options_.cancel || !options_.cancel->load(std::memory_order_relaxed)) return false;
    end(FinishReason::cancelled);
    return true;
  }

  bool full() {
    if (std::ssize(timeline_.tokens()) < timeline_.context()) return false;
    end(FinishReason::length,
        fmt::format("the context of {} tokens is full; nothing was dropped. A larger --ctx makes room",
                    timeline_.context()));
    return true;
  }

  void end(FinishReason reason, std::string message = {}) {
    done_ = true;
    out_.finish = reason;
    out_.message = std::move(message);
  }

  // Evaluates what of the prompt is not cached, in batches; returns the last token's logits.
  std::span<const float> read(std::span<const std::int32_t> prompt) {
    if (prompt.empty())
      throw Error(ErrorKind::usage, "the prompt is empty", "give the model at least one token");
    if (std::ssize(prompt) >= timeline_.context())
      throw Error(ErrorKind::limit,
                  fmt::format("the prompt has {} tokens and the context holds {}", prompt.size(),
                              timeline_.context()),
                  fmt::format("use --ctx {} or more, or a shorter prompt", prompt.size() + 256));
    out_.usage.prompt_tokens = std::ssize(prompt);
    out_.usage.cached_tokens = timeline_.rewind_to(prompt);
    std::span<const float> logits;
    for (auto rest = prompt.subspan(static_cast<std::size_t>(out_.usage.cached_tokens));
         !rest.empty() && !cancelled();) {
      const auto batch = rest.first(std::min(rest.size(), static_cast<std::size_t>(engine_.options.batch)));
      logits = timeline_.append(batch, Timeline::Logits::last);
      rest = rest.subspan(batch.size());
      if (options_.on_prompt)
        options_.on_prompt(std::ssize(timeline_.tokens()) - out_.usage.cached_tokens,
                           out_.usage.prompt_tokens - out_.usage.cached_tokens);
    }
    return logits;
  }

  std::int32_t choose(std::span<const float> logits) {
    if (options_.max_tokens >= 0 && std::ssize(out_.tokens) >= options_.max_tokens) {
      end(FinishReason::length,
          fmt::format("the answer reached its limit of {} tokens", options_.max_tokens));
      return -1;
    }
    const std::int32_t token = sampler_.sample(logits, history_);
    if (token < 0)
      end(FinishReason::no_token,
          "no token can follow: the model's logits are not numbers, or all are banned");
    return token;
  }

  // Adds a sampled token to the answer; false when the answer ends with it.
  bool take(std::int32_t token, std::span<const float> logits) {
    if (!options_.ignore_end && engine_.tokenizer->is_end(token)) {
      end(FinishReason::stop);
      return false;
    }
    out_.tokens.push_back(token);
    history_.push_back(token);
    if (options_.top_logprobs > 0)
      out_.logprobs.push_back(
          {token, log_probability(logits, token), best_tokens(logits, options_.top_logprobs)});
    emit(stops_.feed(stream_.push(token)));
    if (stops_.stopped()) end(FinishReason::stop);
    return !done_;
  }

  void emit(std::string text) {
    if (text.empty()) return;
    if (options_.on_text) options_.on_text(text);
    out_.text += text;
  }

  void finish(Clock::time_point start, Clock::time_point first, Clock::time_point last) {
    if (!stops_.stopped()) {
      emit(stops_.feed(stream_.finish()));
      emit(stops_.finish());
    }
    out_.usage.completion_tokens = std::ssize(out_.tokens);
    Timings& t = out_.timings;
    t.prompt_tps = per_second(out_.usage.prompt_tokens - out_.usage.cached_tokens, t.prompt_ms);
    if (first == Clock::time_point{}) return;
    t.ttft_ms = milliseconds(start, first);
    t.decode_ms = milliseconds(first, last);
    t.decode_tps = per_second(out_.usage.completion_tokens - 1, t.decode_ms);
    engine_.check_file();
  }

  std::vector<std::int32_t> dry_breakers() const {
    std::vector<std::int32_t> found;
    if (options_.sampler.dry_multiplier <= 0) return found;
    for (std::int32_t token = 0; token < engine_.tokenizer->size(); ++token) {
      const std::string_view piece = engine_.tokenizer->piece(token);
      const auto& breakers = options_.sampler.dry_sequence_breakers;
      if (std::any_of(breakers.begin(), breakers.end(),
                      [&](const auto& b) { return !b.empty() && piece.find(b) != piece.npos; }))
        found.push_back(token);
    }
    return found;
  }

  Engine::Impl& engine_;
  Timeline& timeline_;
  const GenerateOptions& options_;
  Sampler sampler_;
  text::TextStream stream_;
  StopFilter stops_;
  std::vector<std::int32_t> history_;  // prompt and answer
  Generation out_;
  bool done_ = false;
};

}  // namespace

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Generation Session::generate(std::span<const std::int32_t> prompt, const GenerateOptions& options) {
  const std::lock_guard lock(impl_->e().running);
  impl_->e().check_file();
  return Run(impl_->e(), impl_->timeline, options)(prompt);
}

void Session::score(std::span<const std::int32_t> tokens, const Rows& rows) {
  Engine::Impl& e = impl_->e();
  const std::lock_guard lock(e.running);
  e.check_file();
  if (std::ssize(tokens) > e.context)
    throw Error(ErrorKind::limit,
                fmt::format("{} tokens do not fit the context of {}", tokens.size(), e.context),
                fmt::format("use --ctx {}", tokens.size()));
  impl_->timeline.rewind_to({});
  while (!tokens.empty()) {
    const auto batch = tokens.first(std::min(tokens.size(), static_cast<std::size_t>(e.score_rows)));
    const std::int64_t first = std::ssize(impl_->timeline.tokens());
    rows(first, impl_->timeline.append(batch, Timeline::Logits::all));
    tokens = tokens.subspan(batch.size());
  }
  e.check_file();
}

void Session::feed(std::span<const std::int32_t> timeline) {
  Engine::Impl& e = impl_->e();
  const std::lock_guard lock(e.running);
  auto rest = timeline.subspan(static_cast<std::size_t>(impl_->timeline.rewind_to(timeline)));
  while (!rest.empty()) {
    const auto batch = rest.first(std::min(rest.size(), static_cast<std::size_t>(e.options.batch)));
    impl_->timeline.append(batch, Timeline::Logits::last);
    rest = rest.subspan(batch.size());
  }
  e.check_file();
}

std::span<const std::int32_t> Session::tokens() const { return impl_->timeline.tokens(); }
void Session::reset() { impl_->timeline.rewind_to({}); }

Session Engine::open_session() {
  if (impl_->open.exchange(true))
    throw Error(ErrorKind::limit, "this engine already has an open session",
                "close it first, or load the model again");
  return Session(std::make_unique<Session::Impl>(shared_from_this()));
}

}  // namespace medlar
