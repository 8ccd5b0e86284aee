// The scheduler's work, one round at a time, by one thread. Internal to engine/.
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "engine/impl.h"
#include "engine/page_tree.h"
#include "engine/scheduler_job.h"
#include "engine/step_batch.h"

namespace medlar {

class SchedulerLoop {
 public:
  SchedulerLoop(Engine::Impl& engine, const SchedulerOptions& options);

  void add(std::shared_ptr<Job> job) { waiting_.push_back(std::move(job)); }
  // Ends what was cancelled, admits what fits, runs a step and tells the listeners. Returns the jobs that
  // have ended.
  std::vector<std::shared_ptr<Job>> round();
  // Forgets what no request uses, and gives its memory back to the system.
  void trim();
  void restrain(const Restraint& restraint) { restraint_ = restraint; }
  // How long nothing should be run after this round.
  bool stepped() const { return stepped_; }  // else there was nothing to run
  // Tokens that something else may read after this round, so that those who answer do not wait for long.
  std::int64_t spare_tokens() const;
  void add_to(SchedulerStatus& status) const;

 private:
  void end_cancelled();
  void expire();
  void admit();
  std::list<std::shared_ptr<Job>>::iterator next_waiting();
  bool fits(const Job& job) const;
  bool follows_a_reader(const Job& job) const;
  bool fetches(const std::shared_ptr<Job>& job);
  std::vector<PrefixStore::Name> stored_pages(const Job& job, std::int64_t first) const;
  void adopt(Job& job);
  struct StoredPage;
  std::optional<StoredPage> parse(std::span<const std::byte> page) const;
  void store(Choice& choice);
  void start(Job& job);
  std::optional<CacheMiss> explain(const Job& job, const std::optional<Divergence>& divergence) const;
  void resume();

  void step();
  std::vector<Choice*> runnable();
  bool add(StepBatch& batch, Choice& choice, std::int64_t tokens);
  Choice* victim(const Choice& choice) const;
  int holders() const;  // answers that have pages
  void sample(Choice& choice, const RowLogits& logits);
  void shift(Choice& choice);
  void share_prompt(Job& job, const RowLogits& logits);

  void release(Choice& choice);
  void end(Choice& choice);
  void fail(Job& job, const Error& error);
  std::vector<std::shared_ptr<Job>> take_ended();
  int active_of(const std::string& client) const;

  Engine::Impl& engine_;
  int groups_;
  std::list<std::shared_ptr<Job>> waiting_;
  std::vector<std::shared_ptr<Job>> active_;
  std::vector<int> free_sequences_;
  PageTree tree_;
  StepPace pace_;
  std::optional<PrefixStore> store_;
  Restraint restraint_;
  bool stepped_ = false;
  std::chrono::nanoseconds busy_{0};      // of all steps
  std::int64_t answered_ = 0, read_ = 0;  // in the last step: sequences that answered, tokens of prompts
  std::vector<Choice*> stepping_;         // in the batch being put together
  std::uint64_t admissions_ = 0;
  std::int64_t prompt_tokens_ = 0, cached_tokens_ = 0, generated_tokens_ = 0, steps_ = 0, preempted_ = 0;
};

}  // namespace medlar
