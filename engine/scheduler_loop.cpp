#include "engine/scheduler_loop.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/assert.h"

namespace medlar {
namespace {

constexpr std::size_t kShownTokens = 16;       // on either side of a cache miss
constexpr std::int64_t kLeastStoredPages = 4;  // of a timeline worth keeping on disk
constexpr std::int64_t kLeastSpare = 8;        // tokens a round, so that an errand always gets on
constexpr std::int64_t kFetchedPages = 64;     // read from disk at once: they are in memory twice

std::int64_t pages_for(std::int64_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }

std::span<const std::int32_t> all_but_last(const std::vector<std::int32_t>& tokens) {
  return std::span(tokens).first(tokens.size() - 1);
}

std::int64_t shared(std::span<const std::int32_t> a, std::span<const std::int32_t> b) {
  return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
}

bool holds_pages(const Choice& choice) { return choice.sequence >= 0 && choice.length > 0; }

}  // namespace

SchedulerLoop::SchedulerLoop(Engine::Impl& engine, const SchedulerOptions& options)
    : engine_(engine),
      groups_(static_cast<int>(engine.model.graph.group_windows().size())),
      tree_(engine.page_tree_options()),
      pace_(options.slowdown) {
  for (int s = engine.options.sequences; s-- > 0;) free_sequences_.push_back(s);
  // States would take far more room there than the keys and values they go with.
  const auto windows = engine.model.graph.group_windows();
  if (options.store && std::ranges::count(windows, kernels::kRecurrent) == 0)
    store_.emplace(*options.store, engine.identity());
}

std::vector<std::shared_ptr<Job>> SchedulerLoop::round() {
  try {
    end_cancelled();
    resume();
    admit();
    expire();
    step();
  } catch (const Error& error) {
    // The cache may hold what was never computed.
    for (const auto& job : active_) fail(*job, error);
    tree_.forget_unused();
  }
  if (stepped_) engine_.charges->note(tree_);
  return take_ended();
}

void SchedulerLoop::trim() {
  tree_.forget_unused();
  for (int group = 0; group < groups_; ++group)
    engine_.program->release_pages(group, tree_.take_released(group));
  engine_.charges->note_pages(tree_);
}

void SchedulerLoop::end_cancelled() {
  const auto end_job = [&](Job& job) {
    if (!job.cancelled) return;
    for (Choice& choice : job.choices) {
      if (choice.ended) continue;
      choice.answer->end(FinishReason::cancelled);
      end(choice);
    }
  };
  for (const auto& job : active_) end_job(*job);
  for (const auto& job : waiting_) end_job(*job);
}

void SchedulerLoop::expire() {
  const auto now = std::chrono::steady_clock::now();
  for (const auto& job : waiting_)
    if (job->request.deadline && now > *job->request.deadline)
      fail(*job,
           Error(ErrorKind::limit,
                 fmt::format("the request waited {:.1f} s in the queue, past its deadline: {} are being "
                             "answered and {} wait",
                             std::chrono::duration<double>(now - job->submitted).count(), active_.size(),
                             waiting_.size()),
                 "try again later, or allow it more time"));
}

// --- admission

int SchedulerLoop::active_of(const std::string& client) const {
  return static_cast<int>(
      std::ranges::count_if(active_, [&](const auto& job) { return job->request.client == client; }));
}

// Of those that can be admitted now, one of the first in priority, then of a client with the fewest active
// requests, then the oldest.
std::list<std::shared_ptr<Job>>::iterator SchedulerLoop::next_waiting() {
  auto best = waiting_.end();
  int fewest = 0;
  for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
    const Job& job = **it;
    if (job.choices[0].ended || (job.background() && !restraint_.background)) continue;
    const int active = active_of(job.request.client);
    if (best != waiting_.end() &&
        std::pair(job.request.priority, active) >= std::pair((*best)->request.priority, fewest))
      continue;
    if (follows_a_reader(job)) continue;
    best = it, fewest = active;
  }
  return best;
}

// Somebody reads just now what it would have to read itself.
bool SchedulerLoop::follows_a_reader(const Job& job) const {
  const auto prompt = all_but_last(job.request.prompt);
  std::int64_t most = 0;
  for (const auto& other : active_) {
    const Choice& reader = other->choices[0];
    if (reader.read || reader.ended || other->request.scope != job.request.scope) continue;
    const std::int64_t common = shared(prompt, other->request.prompt);
    if (common > reader.length) most = std::max(most, common);
  }
  return most >= kPageTokens && most / kPageTokens * kPageTokens > tree_.cached(job.request.scope, prompt);
}

bool SchedulerLoop::fits(const Job& job) const {
  if (std::ssize(free_sequences_) < std::ssize(job.choices)) return false;
  if (active_.empty()) return true;
  const PageTree::Usage usage = tree_.usage();
  const std::int64_t cached = tree_.cached(job.request.scope, all_but_last(job.request.prompt));
  // What it reads, and a page to answer into for it and for everybody.
  const std::int64_t needed = pages_for(std::ssize(job.request.prompt)) - cached / kPageTokens +
                              std::ssize(job.choices) + std::ssize(active_);
  return usage.pages - usage.used >= needed;
}

// The pages of its prompt that the store has and the cache lacks come first, some at a time.
bool SchedulerLoop::fetches(const std::shared_ptr<Job>& job) {
  if (!store_ || job->fetch == Job::Fetch::done) return false;
  if (job->fetch == Job::Fetch::asked) {
    if (!job->fetched) return true;
    adopt(*job);
  }
  const auto prompt = all_but_last(job->request.prompt);
  const std::int64_t there = tree_.cached(job->request.scope, prompt) / kPageTokens;
  std::vector<PrefixStore::Name> names;
  // Where the cache could not take what came, the rest would not fit either.
  if (job->fetch == Job::Fetch::none || there > job->first_page) names = stored_pages(*job, there);
  job->fetch = names.empty() ? Job::Fetch::done : Job::Fetch::asked;
  if (names.empty()) return false;
  job->first_page = there;
  job->fetched = false;
  store_->load(std::move(names), [job](std::vector<PrefixStore::Page> pages) {
    job->pages = std::move(pages);
    job->fetched = true;
  });
  return true;
}

// The names of what the store has from page `first` of the prompt on, as many as are read at once.
std::vector<PrefixStore::Name> SchedulerLoop::stored_pages(const Job& job, std::int64_t first) const {
  const auto prompt = all_but_last(job.request.prompt);
  std::vector<PrefixStore::Name> names;
  PrefixStore::Name name = store_->root(job.request.scope);
  for (std::int64_t i = 0; i < std::ssize(prompt) / kPageTokens && std::ssize(names) < kFetchedPages; ++i) {
    name = store_->next(name, prompt.subspan(static_cast<std::size_t>(i * kPageTokens), kPageTokens));
    if (i < first) continue;
    if (!store_->has(name)) break;
    names.push_back(name);
  }
  return names;
}

// A page as it is stored: for each group one byte, whether it is there, and its bytes.
struct SchedulerLoop::StoredPage {
  std::array<bool, kMaxKvGroups> has{};
  std::array<std::span<const std::byte>, kMaxKvGroups> parts;
};

std::optional<SchedulerLoop::StoredPage> SchedulerLoop::parse(std::span<const std::byte> page) const {
  StoredPage stored;
  for (int g = 0; g < groups_; ++g) {
    if (page.empty()) return std::nullopt;
    const auto i = static_cast<std::size_t>(g);
    stored.has[i] = page[0] != std::byte{0};
    const std::size_t bytes = stored.has[i] ? engine_.program->page_bytes(g) : 0;
    if (page.size() < 1 + bytes) return std::nullopt;
    stored.parts[i] = page.subspan(1, bytes);
    page = page.subspan(1 + bytes);
  }
  return stored;
}

// What came from the store, as far as it is not there meanwhile.
void SchedulerLoop::adopt(Job& job) {
  const auto prompt = all_but_last(job.request.prompt);
  std::int64_t i = job.first_page;
  for (const PrefixStore::Page& page : std::exchange(job.pages, {})) {
    const auto tokens = prompt.first(static_cast<std::size_t>(++i * kPageTokens));
    if (tree_.cached(job.request.scope, tokens) == std::ssize(tokens)) continue;
    const std::optional<StoredPage> stored = parse(page);
    const auto pages = stored ? tree_.adopt(job.request.scope, tokens, stored->has) : std::nullopt;
    if (!pages) return;
    for (int g = 0; g < groups_; ++g)
      if (stored->has[static_cast<std::size_t>(g)])
        engine_.program->write_page(g, (*pages)[static_cast<std::size_t>(g)],
                                    stored->parts[static_cast<std::size_t>(g)]);
  }
}

// The whole pages of an answer's timeline that are new.
void SchedulerLoop::store(Choice& choice) {
  const std::int64_t pages = choice.length / kPageTokens;
  if (!store_ || pages < kLeastStoredPages) return;
  if (choice.stored == 0) choice.name = store_->root(choice.job->request.scope);
  for (; choice.stored < pages; ++choice.stored) {
    const auto first = static_cast<std::size_t>(choice.stored * kPageTokens);
    choice.name = store_->next(choice.name, choice.answer->timeline().subspan(first, kPageTokens));
    if (store_->has(choice.name)) continue;
    PrefixStore::Page bytes;
    for (int g = 0; g < groups_; ++g) {
      const kernels::PageTable table = tree_.table(g);
      const std::int32_t page = table.pages[choice.sequence * table.stride + choice.stored];
      bytes.push_back(page < 0 ? std::byte{0} : std::byte{1});
      if (page < 0) continue;
      const std::size_t at = bytes.size();
      bytes.resize(at + engine_.program->page_bytes(g));
      engine_.program->read_page(g, page, std::span(bytes).subspan(at));
    }
    store_->save(choice.name, std::move(bytes));
  }
}

void SchedulerLoop::admit() {
  const auto most = static_cast<std::size_t>(restraint_.active);
  while (!free_sequences_.empty() && (most == 0 || active_.size() < most)) {
    const auto next = next_waiting();
    if (next == waiting_.end() || fetches(*next) || !fits(**next)) return;
    active_.push_back(std::move(*next));
    waiting_.erase(next);
    start(*active_.back());
  }
}

void SchedulerLoop::start(Job& job) {
  job.started = true;
  for (Choice& choice : job.choices) {
    choice.sequence = free_sequences_.back();
    choice.admitted = ++admissions_;
    free_sequences_.pop_back();
  }
  Choice& first = job.choices[0];
  const PageTree::Begun begun =
      tree_.begin(first.sequence, job.request.scope, all_but_last(job.request.prompt));
  first.begun = true;
  first.length = job.cached = begun.cached;
  prompt_tokens_ += std::ssize(job.request.prompt);
  cached_tokens_ += job.cached;
  job.emit(Started{std::ssize(job.request.prompt), job.cached, explain(job, begun.divergence), job.dropped});
}

std::optional<CacheMiss> SchedulerLoop::explain(const Job& job,
                                                const std::optional<Divergence>& divergence) const {
  if (!divergence) return std::nullopt;
  const std::span prompt(job.request.prompt);
  const auto at = static_cast<std::size_t>(divergence->position);
  const auto alike = prompt.subspan(at - std::min(at, kShownTokens), std::min(at, kShownTokens));
  std::vector<std::int32_t> cached(alike.begin(), alike.end()), given = cached;
  cached.insert(cached.end(), divergence->cached.begin(), divergence->cached.end());
  const auto rest = prompt.subspan(at, std::min(kShownTokens, prompt.size() - at));
  given.insert(given.end(), rest.begin(), rest.end());
  const auto text = [&](const auto& tokens) { return engine_.tokenizer->decode(tokens, {.special = true}); };
  return CacheMiss{divergence->position, text(cached), text(given)};
}

// Those that lost their pages, when there is room for what they had.
void SchedulerLoop::resume() {
  for (const auto& job : active_) {
    for (Choice& choice : job->choices) {
      if (choice.ended || choice.sequence >= 0 || free_sequences_.empty()) continue;
      const PageTree::Usage usage = tree_.usage();
      const std::int64_t needed = pages_for(std::ssize(choice.answer->timeline())) + std::ssize(active_);
      const bool alone = std::ssize(free_sequences_) == engine_.options.sequences;
      if (!alone && usage.pages - usage.used < needed) continue;
      choice.sequence = free_sequences_.back();
      free_sequences_.pop_back();
      choice.admitted = ++admissions_;
      const auto timeline = choice.answer->timeline();
      choice.length =
          tree_.begin(choice.sequence, job->request.scope, timeline.first(timeline.size() - 1)).cached;
    }
  }
}

// --- steps

// Those with something to run: who answers first, then who reads, by priority and age. Background reads only
// when nobody else does.
std::vector<Choice*> SchedulerLoop::runnable() {
  std::vector<Choice*> choices;
  for (const auto& job : active_)
    for (Choice& choice : job->choices)
      if (!choice.ended && choice.sequence >= 0 && choice.begun) choices.push_back(&choice);
  const auto rank = [](const Choice* c) {
    return std::tuple(!c->answering(), c->job->background(), c->admitted);
  };
  std::ranges::sort(choices, {}, rank);
  const bool interactive_reads =
      std::ranges::any_of(choices, [](Choice* c) { return !c->answering() && !c->job->background(); });
  if (interactive_reads)
    std::erase_if(choices, [](Choice* c) { return !c->answering() && c->job->background(); });
  return choices;
}

void SchedulerLoop::step() {
  StepBatch batch(engine_.options.batch);
  stepping_.clear();
  const std::vector<Choice*> choices = runnable();
  const std::int64_t answering = std::ranges::count_if(choices, [](Choice* c) { return c->answering(); });
  const std::int64_t chunk =
      restraint_.chunk > 0 ? std::min(restraint_.chunk, engine_.options.batch) : engine_.options.batch;
  const std::int64_t paced = pace_.reading(answering, chunk);
  const std::int64_t finishing = pace_.finishing(answering, chunk);
  std::int64_t reading = 0;
  for (Choice* choice : choices) {
    if (choice->ended || choice->sequence < 0) continue;  // lost its pages to one before
    const std::int64_t missing = std::ssize(choice->missing());
    std::int64_t room = batch.room();
    if (!choice->answering()) {
      const std::int64_t asked = std::ssize(choice->job->request.prompt) - choice->job->cached;
      const bool ends = !choice->job->background() && asked <= finishing && missing <= finishing - reading;
      room = std::min(room, (ends ? finishing : paced) - reading);
    }
    const std::int64_t tokens = std::min(room, missing);
    if (tokens <= 0 || !add(batch, *choice, tokens)) continue;
    if (!choice->answering()) reading += tokens;
  }
  stepped_ = !batch.empty();
  answered_ = answering, read_ = reading;
  if (!stepped_) return;

  const auto start = std::chrono::steady_clock::now();
  batch.run(*engine_.program, tree_, groups_);
  const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - start;
  busy_ += took;
  pace_.observe(answering, reading, took);
  ++steps_;
  engine_.check_file();
  std::int32_t row = 0;
  for (Choice* choice : stepping_) {
    choice->length = tree_.length(choice->sequence);
    store(*choice);
    if (!choice->read)
      choice->job->emit(PromptProgress{choice->length - choice->job->cached,
                                       std::ssize(choice->job->request.prompt) - choice->job->cached});
    if (choice->missing().empty()) sample(*choice, RowLogits(*engine_.program, row++));
  }
}

std::int64_t SchedulerLoop::spare_tokens() const {
  const std::int64_t spare = pace_.reading(answered_, engine_.options.batch) - (answered_ > 0 ? read_ : 0);
  return std::max(kLeastSpare, spare);
}

// Puts the choice's next tokens into the batch. Where the cache is full, those admitted after it lose their
// pages for it, the youngest first; one that is alone ends.
bool SchedulerLoop::add(StepBatch& batch, Choice& choice, std::int64_t tokens) {
  const auto some = choice.missing().first(static_cast<std::size_t>(tokens));
  while (!tree_.extend(choice.sequence, some)) {
    if (Choice* other = victim(choice)) {
      release(*other);
      ++preempted_;
      continue;
    }
    if (!stepping_.empty()) return false;  // in a later step
    if (holders() > (choice.length > 0 ? 1 : 0)) {
      release(choice);
      ++preempted_;
      return false;
    }
    choice.answer->end(FinishReason::length,
                       fmt::format("the cache of {} tokens is full; nothing was dropped. A larger --cache "
                                   "makes room",
                                   tree_.usage().pages * kPageTokens));
    end(choice);
    return false;
  }
  const bool whole = some.size() == choice.missing().size();
  batch.add(choice.sequence, choice.length, some, whole ? StepBatch::Logits::last : StepBatch::Logits::none);
  stepping_.push_back(&choice);
  return true;
}

int SchedulerLoop::holders() const {
  int count = 0;
  for (const auto& job : active_) count += static_cast<int>(std::ranges::count_if(job->choices, holds_pages));
  return count;
}

Choice* SchedulerLoop::victim(const Choice& choice) const {
  Choice* youngest = nullptr;
  const auto rank = [](const Choice& c) { return std::pair(c.job->background(), c.admitted); };
  for (const auto& job : active_)
    for (Choice& other : job->choices) {
      if (!holds_pages(other) || std::ranges::count(stepping_, &other) > 0) continue;
      if (rank(other) > rank(youngest ? *youngest : choice)) youngest = &other;
    }
  return youngest;
}

void SchedulerLoop::sample(Choice& choice, const RowLogits& logits) {
  Job& job = *choice.job;
  const bool first = !choice.read;
  if (first) {
    choice.read = true;
    choice.answer->prompt_read(job.cached);
    if (choice.index == 0) share_prompt(job, logits);
  }
  if (choice.answer->next(logits)) ++generated_tokens_;
  if (!choice.answer->done() && choice.length >= engine_.context) {
    if (job.request.overflow == Overflow::shift)
      shift(choice);
    else
      choice.answer->end(FinishReason::length, context_full(engine_.context));
  }
  if (choice.answer->done()) end(choice);
}

// Leaves out the older half of what need not be kept; what follows is read again, as its positions change.
void SchedulerLoop::shift(Choice& choice) {
  const std::int64_t keep = choice.job->request.keep;
  choice.answer->drop(keep, (std::ssize(choice.answer->timeline()) - keep) / 2);
  tree_.end(choice.sequence);
  const auto timeline = choice.answer->timeline();
  choice.length =
      tree_.begin(choice.sequence, choice.job->request.scope, timeline.first(timeline.size() - 1)).cached;
  choice.stored = 0;
  choice.job->emit(Shifted{choice.index, choice.answer->so_far().dropped.back()});
}

// The other answers to the prompt begin where the first does; where there is no page for that, they read the
// part that is not shared.
void SchedulerLoop::share_prompt(Job& job, const RowLogits& logits) {
  const Choice& first = job.choices[0];
  for (Choice& choice : std::span(job.choices).subspan(1)) {
    if (choice.ended) continue;
    choice.begun = true;
    if (tree_.fork(first.sequence, choice.sequence)) {
      choice.length = first.length;
      sample(choice, logits);
    } else {
      choice.length =
          tree_.begin(choice.sequence, job.request.scope, all_but_last(job.request.prompt)).cached;
    }
  }
}

// --- ends

void SchedulerLoop::release(Choice& choice) {
  if (choice.sequence < 0) return;
  tree_.end(choice.sequence);
  free_sequences_.push_back(std::exchange(choice.sequence, -1));
  choice.length = 0;
}

void SchedulerLoop::end(Choice& choice) {
  release(choice);
  choice.ended = true;
  choice.job->emit(Finished{choice.index, choice.answer->finish()});
}

void SchedulerLoop::fail(Job& job, const Error& error) {
  bool told = false;
  for (Choice& choice : job.choices) {
    if (choice.ended) continue;
    release(choice);
    choice.ended = true;
    if (!std::exchange(told, true)) job.emit(Failed{error});
  }
}

std::vector<std::shared_ptr<Job>> SchedulerLoop::take_ended() {
  std::vector<std::shared_ptr<Job>> ended;
  const auto over = [&](const std::shared_ptr<Job>& job) {
    if (!std::ranges::all_of(job->choices, &Choice::ended)) return false;
    ended.push_back(job);
    return true;
  };
  std::erase_if(active_, over);
  std::erase_if(waiting_, over);
  return ended;
}

void SchedulerLoop::add_to(SchedulerStatus& status) const {
  const PageTree::Usage usage = tree_.usage();
  status.cache_tokens = usage.pages * kPageTokens;
  status.cache_used = (usage.used + usage.kept) * kPageTokens;
  status.cache_shared = usage.kept * kPageTokens;
  status.prompt_tokens = prompt_tokens_, status.cached_tokens = cached_tokens_;
  status.generated_tokens = generated_tokens_;
  status.steps = steps_, status.preempted = preempted_;
  status.busy_seconds = std::chrono::duration<double>(busy_).count();
}

}  // namespace medlar
