#include "engine/answer.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace medlar {
namespace {

double milliseconds(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

double per_second(std::int64_t count, double ms) {
  return count > 0 && ms > 0 ? static_cast<double>(count) / ms * 1000 : 0;
}

std::vector<std::int32_t> dry_breakers(const text::Tokenizer& tokenizer, const SamplerOptions& options) {
  std::vector<std::int32_t> found;
  if (options.dry_multiplier <= 0) return found;
  for (std::int32_t token = 0; token < tokenizer.size(); ++token) {
    const std::string_view piece = tokenizer.piece(token);
    if (std::ranges::any_of(options.dry_sequence_breakers,
                            [&](const auto& b) { return !b.empty() && piece.find(b) != piece.npos; }))
      found.push_back(token);
  }
  return found;
}

// With a grammar the text is all that the tokens say: none loses its space for being the first.
text::TokenId token_before(const text::Tokenizer& tokenizer, const GenerateOptions& options) {
  text::TokenId id = options.grammar ? 0 : text::kNoToken;
  while (id >= 0 && id < tokenizer.size() && tokenizer.type(id) != text::TokenType::normal) ++id;
  return id < tokenizer.size() ? id : text::kNoToken;
}

}  // namespace

void check_fits(std::int64_t tokens, std::int64_t context) {
  if (tokens == 0) throw Error(ErrorKind::usage, "the prompt is empty", "give the model at least one token");
  if (tokens >= context)
    throw Error(ErrorKind::limit,
                fmt::format("the prompt has {} tokens and the context holds {}", tokens, context),
                fmt::format("use --ctx {} or more, or a shorter prompt", tokens + 256));
}

std::string context_full(std::int64_t context) {
  return fmt::format("the context of {} tokens is full; nothing was dropped. A larger --ctx makes room",
                     context);
}

Answer::Answer(const text::Tokenizer& tokenizer, std::int64_t vocab, GenerateOptions options)
    : tokenizer_(tokenizer),
      options_(std::move(options)),
      sampler_(options_.sampler, vocab, dry_breakers(tokenizer, options_.sampler)),
      stream_(tokenizer, token_before(tokenizer, options_)),
      stops_(options_.stop) {
  out_.seed = sampler_.seed();
  if (!options_.grammar) return;
  matcher_.emplace(options_.grammar);
  allowed_.resize(options_.grammar->vocabulary().words());
}

void Answer::begin(std::span<const std::int32_t> prompt) {
  start_ = Clock::now();
  timeline_.assign(prompt.begin(), prompt.end());
  out_.usage.prompt_tokens = std::ssize(prompt);
}

void Answer::prompt_read(std::int64_t cached) {
  out_.timings.prompt_ms = milliseconds(Clock::now() - start_);
  out_.usage.cached_tokens = cached;
  evaluated_ = std::ssize(timeline_) - cached;
}

std::optional<std::int32_t> Answer::next(std::span<const float> logits) {
  const std::int32_t token = choose(logits);
  last_ = Clock::now();
  if (!first_) first_ = last_;
  if (!done_) take(token, logits);
  return done_ ? std::nullopt : std::optional(token);
}

void Answer::end(FinishReason reason, std::string message) {
  done_ = true;
  out_.finish = reason;
  out_.message = std::move(message);
}

void Answer::drop(std::int64_t begin, std::int64_t count) {
  // Counted from the first token of all: what was left out before lay at the same place.
  const std::int64_t from = out_.dropped.empty() ? begin : out_.dropped.back().end;
  out_.dropped.push_back({from, from + count});
  const auto first = timeline_.begin() + begin;
  timeline_.erase(first, first + count);
}

std::int32_t Answer::choose(std::span<const float> logits) {
  if (options_.max_tokens >= 0 && std::ssize(out_.tokens) >= options_.max_tokens) {
    end(FinishReason::length, fmt::format("the answer reached its limit of {} tokens", options_.max_tokens));
    return -1;
  }
  if (matcher_) allow();
  if (done_) return -1;
  const std::int32_t token = sampler_.sample(logits, timeline_, allowed_);
  if (token < 0)
    end(FinishReason::no_token, "no token can follow: the model's logits are not numbers, or all are banned");
  return token;
}

// Asks the grammar which tokens may come next; ends the answer when that is none.
void Answer::allow() {
  try {
    matcher_->mask(allowed_);
  } catch (const Error& error) {
    return end(FinishReason::no_token, error.what());
  }
  if (std::ranges::all_of(allowed_, [](std::uint64_t word) { return word == 0; }))
    end(FinishReason::no_token,
        "no token of the model's vocabulary can continue the answer within the grammar");
}

void Answer::take(std::int32_t token, std::span<const float> logits) {
  if ((!options_.ignore_end || matcher_) && tokenizer_.is_end(token)) return end(FinishReason::stop);
  out_.tokens.push_back(token);
  timeline_.push_back(token);
  if (options_.top_logprobs > 0)
    out_.logprobs.push_back(
        {token, log_probability(logits, token), best_tokens(logits, options_.top_logprobs)});
  emit(stops_.feed(stream_.push(token)));
  if (stops_.stopped()) return end(FinishReason::stop);
  if (!matcher_) return;
  if (!matcher_->accept(token)) fail(ErrorKind::usage, "token {} is outside the grammar", token);
  if (matcher_->finished()) end(FinishReason::stop);
}

void Answer::emit(std::string text) {
  if (text.empty()) return;
  if (options_.on_text) options_.on_text(text);
  out_.text += text;
}

Generation Answer::finish() {
  if (!stops_.stopped()) {
    emit(stops_.feed(stream_.finish()));
    emit(stops_.finish());
  }
  out_.usage.completion_tokens = std::ssize(out_.tokens);
  Timings& t = out_.timings;
  t.prompt_tps = per_second(evaluated_, t.prompt_ms);
  if (first_) {
    t.ttft_ms = milliseconds(*first_ - start_);
    t.decode_ms = milliseconds(*last_ - *first_);
    t.decode_tps = per_second(out_.usage.completion_tokens - 1, t.decode_ms);
  }
  return std::move(out_);
}

}  // namespace medlar
