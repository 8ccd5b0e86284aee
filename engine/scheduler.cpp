#include "engine/scheduler.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "engine/impl.h"
#include "engine/scheduler_loop.h"

namespace medlar {

struct Scheduler::Impl {
  std::shared_ptr<Engine> engine;
  SchedulerOptions options;
  std::int64_t cache_tokens = 0;
  SchedulerLoop loop;  // the thread's alone

  std::mutex mutex;  // of what follows
  std::condition_variable changed;
  std::map<Id, std::shared_ptr<Job>> jobs;  // that have not ended
  std::vector<std::shared_ptr<Job>> submitted;
  std::vector<std::shared_ptr<Errand>> errands;  // but for the one being worked on
  bool on_errand = false;
  SchedulerStatus status;
  Restraint restraint;
  Id last_id = 0;
  bool closed = false, stopping = false, trimming = false;
  std::thread thread;

  Impl(std::shared_ptr<Engine> e, const SchedulerOptions& o)
      : engine(std::move(e)), options(o), loop((engine->impl_->claim(), *engine->impl_), o) {
    loop.add_to(status);
    cache_tokens = status.cache_tokens;
    thread = std::thread([this] { run(); });
  }
  ~Impl() {
    close(true);
    thread.join();
    engine->impl_->open = false;
  }

  void run() {
    for (;;) {
      std::shared_ptr<Errand> errand;
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return stopping || trimming || !jobs.empty() || !errands.empty(); });
        if (stopping) errands.clear();
        if (stopping && jobs.empty()) return;
        if (std::exchange(trimming, false)) loop.trim();
        loop.restrain(restraint);
        for (auto& job : std::exchange(submitted, {})) loop.add(std::move(job));
        if (!errands.empty()) {
          errand = std::move(errands.front());
          errands.erase(errands.begin());
        }
        on_errand = errand != nullptr;
      }
      const auto ended = loop.round();
      const bool more = errand && errand->work(loop.spare_tokens());
      std::unique_lock lock(mutex);
      on_errand = false;
      if (more && !stopping) add(errand);
      for (const auto& job : ended) jobs.erase(job->id);
      loop.add_to(status);
      if (!ended.empty() || errand) changed.notify_all();
      // Somebody waits for the disk, or for a slot that a step did not free.
      if (!loop.stepped() && !errand && !jobs.empty()) changed.wait_for(lock, std::chrono::milliseconds(1));
    }
  }

  // With the mutex.
  void add(const std::shared_ptr<Errand>& errand) {
    if (std::ranges::find(errands, errand) == errands.end()) errands.push_back(errand);
  }

  // No new jobs; those there are end when they are done, or soon.
  void close(bool soon) {
    const std::lock_guard lock(mutex);
    closed = true;
    if (soon) stopping = true;
    for (const auto& [id, job] : jobs)
      if (soon) job->cancelled = true;
    changed.notify_all();
  }

  // With the mutex.
  std::ptrdiff_t waiting() const {
    return std::ranges::count_if(jobs, [](const auto& job) { return !job.second->started; });
  }

  std::shared_ptr<Job> make_job(Request&& request) const;
};

namespace {

// Of a prompt that does not fit, the tokens to leave out: an answer gets a quarter of the context at most.
std::optional<DroppedTokens> excess(const Request& request, std::int64_t room) {
  const std::int64_t tokens = std::ssize(request.prompt);
  if (request.overflow != Overflow::shift || tokens < room) return std::nullopt;
  const std::int64_t wanted = request.options.max_tokens;
  const std::int64_t answer = std::max<std::int64_t>(1, wanted < 0 ? room / 4 : std::min(wanted, room / 4));
  return DroppedTokens{request.keep, tokens - (room - request.keep - answer)};
}

void check(const Request& request, const EngineOptions& options, std::int64_t room, std::int64_t vocab) {
  if (request.overflow == Overflow::error || request.prompt.empty())
    check_fits(std::ssize(request.prompt), room);
  if (request.keep < 0 || request.keep > room / 2)
    throw Error(ErrorKind::usage, fmt::format("{} first tokens cannot be kept", request.keep),
                fmt::format("keep 0 to {}, half of the context", room / 2));
  for (const std::int32_t token : request.prompt)
    if (token < 0 || token >= vocab)
      throw Error(ErrorKind::usage,
                  fmt::format("the prompt holds token {}, and the model has {}", token, vocab),
                  "use the model's own tokenizer");
  if (request.choices < 1 || request.choices > options.sequences)
    throw Error(ErrorKind::limit, fmt::format("{} answers were asked for at once", request.choices),
                fmt::format("ask for 1 to {}", options.sequences));
}

}  // namespace

std::shared_ptr<Job> Scheduler::Impl::make_job(Request&& request) const {
  const Engine::Impl& e = *engine->impl_;
  const std::int64_t room = std::min(e.context, cache_tokens);
  check(request, e.options, room, e.model.config.vocab);
  auto job = std::make_shared<Job>();
  job->request = std::move(request);
  job->dropped = excess(job->request, room);
  job->choices.resize(static_cast<std::size_t>(job->request.choices));
  for (int i = 0; i < job->request.choices; ++i) {
    Choice& choice = job->choices[static_cast<std::size_t>(i)];
    GenerateOptions o = job->request.options;
    o.sampler.seed += static_cast<std::uint64_t>(i);
    o.cancel = nullptr, o.on_prompt = nullptr;
    const auto fresh = [&choice] {
      const auto& probs = choice.answer->so_far().logprobs;
      return std::span(probs).subspan(std::exchange(choice.told_probs, probs.size()));
    };
    o.on_text = [&choice, fresh](std::string_view text) {
      choice.job->emit(TextDelta{choice.index, text, fresh()});
    };
    o.on_reply = [&choice, fresh](std::vector<reply::Delta>&& parts) {
      choice.job->emit(ReplyDelta{choice.index, std::move(parts), fresh()});
    };
    choice.job = job.get(), choice.index = i;
    choice.answer = std::make_unique<Answer>(*e.tokenizer, e.model.config.vocab, std::move(o));
    choice.answer->begin(job->request.prompt);
    if (job->dropped) choice.answer->drop(job->dropped->begin, job->dropped->end - job->dropped->begin);
  }
  if (const auto& d = job->dropped) {
    auto& prompt = job->request.prompt;
    prompt.erase(prompt.begin() + d->begin, prompt.begin() + d->end);
  }
  return job;
}

Scheduler::Scheduler(std::shared_ptr<Engine> engine, const SchedulerOptions& options)
    : impl_(std::make_unique<Impl>(std::move(engine), options)) {}
Scheduler::~Scheduler() = default;

Scheduler::Id Scheduler::submit(Request request) {
  impl_->engine->impl_->need_head();
  std::shared_ptr<Job> job = impl_->make_job(std::move(request));
  const std::lock_guard lock(impl_->mutex);
  if (impl_->closed)
    throw Error(ErrorKind::limit, "no more requests are taken: shutting down", "try again later");
  if (impl_->waiting() >= impl_->options.queue)
    throw Error(ErrorKind::limit, fmt::format("{} requests are waiting already", impl_->options.queue),
                "try again later, or allow a longer queue");
  job->id = ++impl_->last_id;
  impl_->jobs.emplace(job->id, job);
  impl_->submitted.push_back(std::move(job));
  impl_->changed.notify_all();
  return impl_->last_id;
}

void Scheduler::cancel(Id id) {
  const std::lock_guard lock(impl_->mutex);
  if (const auto job = impl_->jobs.find(id); job != impl_->jobs.end()) job->second->cancelled = true;
}

void Scheduler::trim() {
  const std::lock_guard lock(impl_->mutex);
  impl_->trimming = true;
  impl_->changed.notify_all();
}

void Scheduler::restrain(const Restraint& restraint) {
  const std::lock_guard lock(impl_->mutex);
  impl_->restraint = restraint;
}

void Scheduler::run(const std::shared_ptr<Errand>& errand) {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->closed)
    throw Error(ErrorKind::limit, "no more requests are taken: shutting down", "try again later");
  impl_->add(errand);
  impl_->changed.notify_all();
}

void Scheduler::drain(std::chrono::steady_clock::time_point deadline) {
  impl_->close(false);
  const auto done = [&] { return impl_->jobs.empty() && impl_->errands.empty() && !impl_->on_errand; };
  {
    std::unique_lock lock(impl_->mutex);
    if (impl_->changed.wait_until(lock, deadline, done)) return;
    for (const auto& [id, job] : impl_->jobs) job->cancelled = true;
    impl_->errands.clear();
    impl_->stopping = true;
    impl_->changed.wait(lock, done);
  }
}

SchedulerStatus Scheduler::status() const {
  const std::lock_guard lock(impl_->mutex);
  SchedulerStatus status = impl_->status;
  status.waiting = static_cast<int>(impl_->waiting());
  status.active = static_cast<int>(impl_->jobs.size()) - status.waiting;
  return status;
}

const Engine& Scheduler::engine() const { return *impl_->engine; }

}  // namespace medlar
