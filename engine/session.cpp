#include <algorithm>
#include <utility>

#include "engine/answer.h"
#include "engine/impl.h"

namespace medlar {

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

bool cancelled(const GenerateOptions& options) {
  return options.cancel && options.cancel->load(std::memory_order_relaxed);
}

// Adds the rest of a prompt, in batches; false when it was cancelled.
bool read(Timeline& timeline, std::span<const std::int32_t> rest, std::size_t batch,
          const GenerateOptions& options) {
  const std::int64_t all = std::ssize(rest);
  while (!rest.empty()) {
    if (cancelled(options)) return false;
    const auto some = rest.first(std::min(rest.size(), batch));
    timeline.append(some, Timeline::Logits::last);
    rest = rest.subspan(some.size());
    if (options.on_prompt) options.on_prompt(all - std::ssize(rest), all);
  }
  return true;
}

}  // namespace

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Generation Session::generate(std::span<const std::int32_t> prompt, const GenerateOptions& options) {
  Engine::Impl& e = impl_->e();
  Timeline& timeline = impl_->timeline;
  const std::lock_guard lock(e.running);
  e.check_file();
  check_fits(std::ssize(prompt), e.context);
  Answer answer(*e.tokenizer, e.model.config.vocab, options);
  answer.begin(prompt);
  const std::int64_t cached = timeline.rewind_to(prompt);
  const bool whole = read(timeline, prompt.subspan(static_cast<std::size_t>(cached)),
                          static_cast<std::size_t>(e.options.batch), options);
  answer.prompt_read(cached);
  if (!whole) answer.end(FinishReason::cancelled);
  const RowLogits logits(*e.program, 0);  // of the last token
  while (!answer.done()) {
    const std::optional<std::int32_t> token = answer.next(logits);
    if (!token) break;
    if (cancelled(options))
      answer.end(FinishReason::cancelled);
    else if (std::ssize(timeline.tokens()) >= timeline.context())
      answer.end(FinishReason::length, context_full(timeline.context()));
    else
      timeline.append({&*token, 1}, Timeline::Logits::last);
  }
  e.check_file();
  e.charges->note(timeline.pages());
  return answer.finish();
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
    impl_->timeline.append(batch, Timeline::Logits::all);
    rows(first, e.program->logits());
    tokens = tokens.subspan(batch.size());
  }
  e.check_file();
  e.charges->note(impl_->timeline.pages());
}

std::span<const float> Session::extend(std::span<const std::int32_t> tokens) {
  Engine::Impl& e = impl_->e();
  const std::lock_guard lock(e.running);
  if (std::ssize(tokens) > e.score_rows)
    throw Error(ErrorKind::limit,
                fmt::format("{} tokens are more than the {} that a step gives logits of", tokens.size(),
                            e.score_rows),
                "use a larger score_bytes");
  impl_->timeline.append(tokens, Timeline::Logits::all);
  e.check_file();
  e.charges->note(impl_->timeline.pages());
  return e.program->logits();
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
  e.charges->note(impl_->timeline.pages());
}

std::span<const std::int32_t> Session::tokens() const { return impl_->timeline.tokens(); }
void Session::reset() { impl_->timeline.rewind_to({}); }

Session Engine::open_session() {
  impl_->need_head();
  impl_->claim();
  return Session(std::make_unique<Session::Impl>(shared_from_this()));
}

}  // namespace medlar
