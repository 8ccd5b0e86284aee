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
  if (options_.grammar) grammar_.emplace(options_);
  if (!options_.reply) return;
  reply_.emplace(*options_.reply);
  if (grammar_) grammar_->set_reasoning(reply_->in_reasoning());
  limit_reasoning();
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

std::optional<std::int32_t> Answer::next(const RowLogits& logits) {
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

std::int32_t Answer::choose(const RowLogits& logits) {
  if (options_.max_tokens >= 0 && std::ssize(out_.tokens) >= options_.max_tokens) {
    end(FinishReason::length, fmt::format("the answer reached its limit of {} tokens", options_.max_tokens));
    return -1;
  }
  if (const std::optional<std::int32_t> token = forced()) return *token;
  try {
    return sample(logits);
  } catch (const Error& error) {  // the grammar has reached a limit
    end(FinishReason::no_token, error.what());
    return -1;
  }
}

// What has been decided already, as far as the grammar lets it.
std::optional<std::int32_t> Answer::forced() {
  if (forced_.empty()) return std::nullopt;
  const std::int32_t token = forced_.front();
  forced_.pop_front();
  if (!grammar_ || grammar_->allows(token)) return token;
  forced_.clear();
  return std::nullopt;
}

std::int32_t Answer::sample(const RowLogits& logits) {
  const bool waits = grammar_ && !grammar_->awake();
  if (!grammar_ || waits) {
    allowed_.clear();
  } else if (!allow()) {
    end(FinishReason::no_token,
        "no token of the model's vocabulary can continue the answer within the grammar");
    return -1;
  }
  std::int32_t token = draw(logits);
  // One that begins a call and breaks its grammar at once: any other instead.
  while (waits && token >= 0 && !grammar_->allows(token)) {
    if (allowed_.empty()) allowed_.assign(options_.grammar->vocabulary().words(), ~std::uint64_t{0});
    allowed_[static_cast<std::size_t>(token) / 64] &= ~(std::uint64_t{1} << (token % 64));
    token = draw(logits);
  }
  if (token < 0)
    end(FinishReason::no_token, "no token can follow: the model's logits are not numbers, or all are banned");
  return token;
}

// From the best alone, where those tell.
std::int32_t Answer::draw(const RowLogits& logits) {
  if (const auto token = sampler_.sample_best(logits.best(), timeline_, allowed_)) return *token;
  return sampler_.sample(logits.all(), timeline_, allowed_);
}

// Asks the grammar which tokens may come next; false when that is none.
bool Answer::allow() {
  allowed_.resize(options_.grammar->vocabulary().words());
  grammar_->mask(allowed_);
  return std::ranges::any_of(allowed_, [](std::uint64_t word) { return word != 0; });
}

void Answer::take(std::int32_t token, const RowLogits& logits) {
  if ((!options_.ignore_end || grammar_) && tokenizer_.is_end(token)) return end(FinishReason::stop);
  out_.tokens.push_back(token);
  timeline_.push_back(token);
  if (options_.top_logprobs > 0)
    out_.logprobs.push_back(
        {token, log_probability(logits.all(), token), best_tokens(logits.all(), options_.top_logprobs)});
  if (grammar_) grammar_->accept(token);
  say(token);
  if (stops_.stopped()) return end(FinishReason::stop);
  if (reply_ && reply_->in_reasoning()) ++reasoned_;
  if (reply_ && grammar_) grammar_->set_reasoning(reply_->in_reasoning());
  if (grammar_ && grammar_->finished()) return end(FinishReason::stop);
  limit_reasoning();
}

// Closes reasoning that has used up its budget.
void Answer::limit_reasoning() {
  if (!reply_ || !reply_->in_reasoning() || !forced_.empty()) return;
  const ReplyPlan& plan = *options_.reply;
  if (plan.reasoning_budget >= 0 && reasoned_ >= plan.reasoning_budget)
    forced_.assign(plan.reasoning_end.begin(), plan.reasoning_end.end());
}

void Answer::say(std::int32_t token) {
  if (!reply_) return emit(stops_.feed(stream_.push(token)));
  const std::string_view name = tokenizer_.piece(token, {.special = true});
  const bool special = tokenizer_.piece(token).empty() && !name.empty();
  const std::string text = special ? stream_.finish() : stream_.push(token);
  reply_->note_text(text.size());
  emit(stops_.feed(text));
  if (special && !stops_.stopped()) tell(reply_->note_special(name));
}

void Answer::emit(std::string text) {
  if (text.empty()) return;
  out_.text += text;
  if (reply_) return tell(reply_->push(text));
  if (options_.on_text) options_.on_text(text);
}

void Answer::tell(std::vector<reply::Delta>&& deltas) {
  if (!deltas.empty() && options_.on_reply) options_.on_reply(std::move(deltas));
}

Generation Answer::finish() {
  if (!stops_.stopped()) {
    const std::string rest = stream_.finish();
    if (reply_) reply_->note_text(rest.size());
    emit(stops_.feed(rest));
    emit(stops_.finish());
  }
  if (reply_) {
    tell(reply_->finish());
    out_.reply = reply_->reply();
  }
  out_.usage.completion_tokens = std::ssize(out_.tokens);
  out_.usage.reasoning_tokens = reasoned_;
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
