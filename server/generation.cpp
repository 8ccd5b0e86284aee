#include "server/generation.h"

#include <boost/json/serialize.hpp>
#include <chrono>
#include <map>
#include <optional>
#include <random>
#include <variant>

#include "server/apps.h"
#include "server/openai.h"
#include "server/prompt.h"

namespace medlar::server {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// An event that owns what it tells, to travel from the scheduler's thread to the I/O thread.
struct OwnedDelta {
  int choice;
  Delta delta;
};
using OwnedEvent = std::variant<Started, PromptProgress, OwnedDelta, Shifted, Finished, Failed>;

OwnedEvent own(RequestEvent&& event) {
  return std::visit(
      [](auto&& e) -> OwnedEvent {
        using Event = std::decay_t<decltype(e)>;
        if constexpr (std::is_same_v<Event, TextDelta>) {
          return OwnedDelta{e.choice,
                            {{{.text = std::string(e.text)}}, {e.logprobs.begin(), e.logprobs.end()}}};
        } else if constexpr (std::is_same_v<Event, ReplyDelta>) {
          return OwnedDelta{e.choice, {std::move(e.parts), {e.logprobs.begin(), e.logprobs.end()}}};
        } else {
          return std::move(e);
        }
      },
      std::move(event));
}

// The ids of an answer's calls: the model's own, as far as they come in time, else nine letters and digits,
// which is what Mistral's templates want.
class CallIds {
 public:
  void put(std::vector<reply::Delta>& parts) {
    for (reply::Delta& part : parts) {
      if (part.kind == reply::Delta::Kind::call_begin)
        ids_[part.index] = part.id.empty() ? made_up() : std::move(part.id);
      if (part.kind == reply::Delta::Kind::call_begin || part.kind == reply::Delta::Kind::call_end)
        part.id = ids_[part.index];
    }
  }
  void put(std::vector<reply::Call>& calls) {
    for (reply::Call& call : calls) call.id = ids_[call.index];
  }

 private:
  static std::string made_up() {
    constexpr std::string_view kLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static thread_local std::mt19937_64 random{std::random_device{}()};
    std::string id(9, ' ');
    for (char& c : id) c = kLetters[random() % kLetters.size()];
    return id;
  }
  std::map<std::size_t, std::string> ids_;  // by the calls' index
};

// One job on its way. All of its state belongs to the I/O thread.
class Run : public std::enable_shared_from_this<Run> {
 public:
  Run(Service& service, Model& model, std::shared_ptr<Exchange> exchange, const Job& job,
      std::unique_ptr<Answer> answer)
      : service_(service),
        scheduler_(*model.scheduler),
        chat_(*model.chat),
        exchange_(std::move(exchange)),
        answer_(std::move(answer)),
        dialect_(job.dialect),
        choices_(job.choices) {
    outcome_.started.resize(job.prompts.size());
    outcome_.generations.resize(job.prompts.size() * static_cast<std::size_t>(job.choices));
    outcome_.relaxed = job.prompts.front().relaxed;
    call_ids_.resize(outcome_.generations.size());
    outcome_.summary = job.summary;
    left_ = outcome_.generations.size();
  }

  // Of the scheduler's thread.
  std::function<void(RequestEvent&&)> events_of(int prompt) {
    return [self = shared_from_this(), prompt](RequestEvent&& event) {
      self->exchange_->post([self, prompt, owned = own(std::move(event))]() mutable {
        if (!self->over_) std::visit([&](auto& e) { self->take(prompt, e); }, owned);
      });
    };
  }

  void submitted(std::vector<Scheduler::Id> ids) {
    ids_ = std::move(ids);
    if (over_) return cancel();
    exchange_->on_gone([self = shared_from_this()] {
      self->over_ = true;
      self->cancel();
    });
  }

  void abandon() { over_ = true; }

 private:
  int choice_of(int prompt, int choice) const { return prompt * choices_ + choice; }
  void cancel() {
    for (const Scheduler::Id id : ids_) scheduler_.cancel(id);
  }

  void take(int prompt, Started& started) {
    outcome_.started[static_cast<std::size_t>(prompt)] = std::move(started);
    if (std::exchange(begun_, true)) return;
    answer_->begin(*exchange_, outcome_);
    if (const auto what = left_out_json(outcome_); !what.empty()) left_out(0, what);
  }
  void take(int, PromptProgress& progress) { answer_->progress(*exchange_, progress); }
  void take(int prompt, OwnedDelta& event) {
    if (!last_) {
      service_.metrics.first_token(seconds_since(start_));
    } else {
      service_.metrics.next_token(seconds_since(*last_));
    }
    last_ = Clock::now();
    const int choice = choice_of(prompt, event.choice);
    call_ids_[static_cast<std::size_t>(choice)].put(event.delta.parts);
    answer_->delta(*exchange_, choice, event.delta);
  }
  void take(int prompt, Shifted& event) {
    const int choice = choice_of(prompt, event.choice);
    left_out(choice, left_out_json(choice, event.dropped));
  }
  void take(int prompt, Finished& event) {
    const int index = choice_of(prompt, event.choice);
    Generation& generation = outcome_.generations[static_cast<std::size_t>(index)];
    generation = std::move(event.generation);
    if (generation.reply) call_ids_[static_cast<std::size_t>(index)].put(generation.reply->calls);
    if (generation.finish == FinishReason::cancelled) {
      Failed failed{Error(ErrorKind::limit, "the server is shutting down")};
      return take(prompt, failed);
    }
    chat_.remember(exchange_->request().client, generation);
    answer_->finish(*exchange_, index, generation);
    if (--left_ > 0) return;
    over_ = true;
    note();
    answer_->end(*exchange_, outcome_);
  }
  // The stream says so, and the app hears of it.
  void left_out(int choice, const boost::json::object& what) {
    answer_->left_out(*exchange_, choice, what);
    if (!service_.apps) return;
    boost::json::object event = what;
    event["request"] = exchange_->request().id;
    service_.apps->tell(exchange_->request().client, "truncated", event);
  }
  // One prompt's failure is the job's.
  void take(int, Failed& failed) {
    over_ = true;
    cancel();
    ApiError error = failed.error.kind() == ErrorKind::limit
                         ? ApiError(503, failed.error.what(), {.hint = failed.error.hint()})
                         : ApiError(failed.error);
    service_.log.warning("failed request={} reason=\"{}\"", exchange_->request().id, error.what());
    if (!begun_ || !answer_->streams()) return exchange_->reply(error_response(dialect_, error));
    answer_->fail(*exchange_, error);
    exchange_->end();
  }

  void note() {
    const Usage usage = outcome_.usage();
    service_.metrics.generated(usage);
    service_.log.info("generated request={} prompt_tokens={} cached_tokens={} completion_tokens={} finish={}",
                      exchange_->request().id, usage.prompt_tokens, usage.cached_tokens,
                      usage.completion_tokens, to_string(outcome_.generations.front().finish));
  }

  Service& service_;
  Scheduler& scheduler_;
  Chat& chat_;
  std::shared_ptr<Exchange> exchange_;
  std::unique_ptr<Answer> answer_;
  Dialect dialect_;
  int choices_;
  Outcome outcome_;
  std::vector<CallIds> call_ids_;
  std::size_t left_ = 0;  // choices that have not ended
  bool begun_ = false, over_ = false;
  std::vector<Scheduler::Id> ids_;
  Clock::time_point start_ = Clock::now();
  std::optional<Clock::time_point> last_;
};

class WholeAnswer : public Answer {
 public:
  explicit WholeAnswer(std::function<boost::json::object(const Outcome&)> write) : write_(std::move(write)) {}
  void end(Exchange& exchange, const Outcome& outcome) override {
    exchange.reply({.body = boost::json::serialize(write_(outcome)), .fields = dropped_fields(outcome)});
  }

 private:
  std::function<boost::json::object(const Outcome&)> write_;
};

}  // namespace

Usage Outcome::usage() const {
  Usage total;
  for (const Started& prompt : started) {
    total.prompt_tokens += prompt.prompt_tokens;
    total.cached_tokens += prompt.cached_tokens;
  }
  for (const Generation& generation : generations) {
    total.completion_tokens += generation.usage.completion_tokens;
    total.reasoning_tokens += generation.usage.reasoning_tokens;
  }
  return total;
}

std::string Delta::content() const {
  std::string text;
  for (const reply::Delta& part : parts)
    if (part.kind == reply::Delta::Kind::content) text += part.text;
  return text;
}

reply::Reply reply_of(const Generation& generation) {
  if (generation.reply) return *generation.reply;
  return {.content = generation.text, .text = generation.text};
}

boost::json::value call_input(const reply::Call& call) {
  boost::json::value input = parsed_or_null(call.arguments);
  return input.is_null() ? boost::json::object() : input;
}

std::int64_t Outcome::dropped_tokens() const {
  std::int64_t total = summary ? summary->tokens : 0;
  for (const Started& prompt : started)
    if (prompt.dropped) total += prompt.dropped->end - prompt.dropped->begin;
  for (const Generation& generation : generations)
    for (const DroppedTokens& dropped : generation.dropped) total += dropped.end - dropped.begin;
  return total;
}

std::vector<Header> dropped_fields(const Outcome& outcome) {
  const std::int64_t total = outcome.dropped_tokens();
  if (total == 0) return {};
  return {{"x-medlar-dropped-tokens", std::to_string(total)}};
}

std::string stop_string(const text::Tokenizer& tokenizer, const Generation& generation,
                        const std::vector<std::string>& stops) {
  if (generation.finish != FinishReason::stop || stops.empty()) return "";
  const std::string said = tokenizer.decode(generation.tokens);
  std::size_t first = std::string::npos;
  std::string result;
  for (const std::string& stop : stops) {
    const std::size_t at = said.find(stop);
    if (stop.empty() || at >= first) continue;
    first = at;
    result = stop;
  }
  return result;
}

std::unique_ptr<Answer> whole_answer(std::function<boost::json::object(const Outcome&)> write) {
  return std::make_unique<WholeAnswer>(std::move(write));
}

void generate(Service& service, Model& model, const std::shared_ptr<Exchange>& exchange, Job job,
              std::unique_ptr<Answer> answer) {
  if (needs_summary(*model.engine, job))
    return summarize(service, model, exchange, std::move(job), std::move(answer));
  std::vector<GenerateOptions> options;
  for (Prepared& prompt : job.prompts) {
    options.push_back(generate_options(*model.engine, job.settings, prompt.tokens.size()));
    options.back().grammar = std::move(prompt.grammar);
    options.back().reply = std::move(prompt.reply);
  }
  const auto run = std::make_shared<Run>(service, model, exchange, job, std::move(answer));
  const auto deadline = service.queue_deadline(job.settings.queue_timeout);
  std::vector<Scheduler::Id> ids;
  try {
    for (std::size_t i = 0; i < job.prompts.size(); ++i)
      ids.push_back(model.scheduler->submit(
          {.prompt = std::move(job.prompts[i].tokens),
           .options = options[i],
           .overflow = job.settings.overflow,
           .keep = job.settings.keep,
           .choices = job.choices,
           .priority = job.settings.priority.value_or(service.priority_of(exchange->request().client)),
           .client = exchange->request().client,
           .scope = exchange->request().client,
           .deadline = deadline,
           .on_event = run->events_of(static_cast<int>(i))}));
  } catch (const Error& e) {
    exchange->post([run] { run->abandon(); });
    for (const Scheduler::Id id : ids) model.scheduler->cancel(id);
    // What could be wrong with the request was looked at before, so this limit is the queue's.
    if (e.kind() == ErrorKind::limit) throw ApiError(503, e.what(), {.code = "queue_full", .hint = e.hint()});
    throw;
  }
  exchange->post([run, ids = std::move(ids)]() mutable { run->submitted(std::move(ids)); });
}

}  // namespace medlar::server
