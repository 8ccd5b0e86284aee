#include "server/summary.h"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <utility>

#include <fmt/format.h>

#include "server/api_error.h"
#include "server/generation.h"
#include "server/infill.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

constexpr std::string_view kTask =
    "Condense the beginning of a conversation into a short summary, so that it can be carried on without it. "
    "Keep names, numbers, decisions, open questions and what the user wants. Write the summary only.";

std::string_view role_of(const ChatMessage& message) {
  const json::value* role = message.object.if_contains("role");
  return role && role->is_string() ? std::string_view(role->get_string()) : std::string_view();
}

// A message as a line of a transcript; calls of tools as they are.
std::string line_of(const ChatMessage& message) {
  std::string text = fmt::format("{}: ", role_of(message));
  if (const json::value* content = message.object.if_contains("content"); content && content->is_string())
    text += std::string_view(content->get_string());
  if (const json::value* calls = message.object.if_contains("tool_calls")) text += json::serialize(*calls);
  return text + "\n\n";
}

// Tokens that prompt and answer may have together.
std::int64_t room_of(const Engine& engine, const Settings& settings) {
  return std::min(settings.context.value_or(engine.context()), engine.context());
}

// Reads the turns in as many pieces as they need, each with the summary of those before it.
class Summarizing : public std::enable_shared_from_this<Summarizing> {
 public:
  Summarizing(Service& service, Model& model, std::shared_ptr<Exchange> exchange, Job job,
              std::unique_ptr<Answer> answer)
      : service_(service),
        model_(model),
        exchange_(std::move(exchange)),
        job_(std::move(job)),
        answer_(std::move(answer)),
        messages_(job_.retelling->messages),
        room_(room_of(*model.engine, job_.settings)) {}

  // Throws ApiError(400) where there is no turn to spare.
  void start() {
    const std::int64_t wanted = job_.settings.max_tokens.value_or(room_ / 4);
    const std::int64_t answer = std::clamp<std::int64_t>(wanted, 1, std::max<std::int64_t>(1, room_ / 4));
    budget_ = std::max<std::int64_t>(1, room_ / 8);
    while (summary_.begin < messages_.size() && role_of(messages_[summary_.begin]) == "system")
      ++summary_.begin;
    next_ = summary_.begin;
    std::vector<std::size_t> borders;
    for (std::size_t i = next_border(next_); i < messages_.size(); i = next_border(i)) borders.push_back(i);
    const auto tokens_without = [&](std::size_t border) {
      summary_.end = border;
      return std::ssize(job_.retelling->prepare(shortened("")).tokens);
    };
    // The more goes, the less is left.
    const auto first = std::ranges::partition_point(
        borders, [&](std::size_t border) { return tokens_without(border) + budget_ + answer > room_; });
    if (first == borders.end()) refuse("the newest turn alone does not fit");
    summary_.tokens = std::ssize(job_.prompts.front().tokens) - tokens_without(*first);
    ask();
  }

 private:
  // The first turn that begins behind message i.
  std::size_t next_border(std::size_t i) const {
    do ++i;
    while (i < messages_.size() && role_of(messages_[i]) != "user");
    return std::min(i, messages_.size());
  }

  // The conversation with this in place of its oldest turns.
  std::vector<ChatMessage> shortened(std::string_view summary) const {
    const auto at = [&](std::size_t i) { return messages_.begin() + static_cast<std::ptrdiff_t>(i); };
    std::vector<ChatMessage> result(messages_.begin(), at(summary_.begin));
    result.insert(result.end(), at(summary_.end), messages_.end());
    json::value& content = result[summary_.begin].object["content"];
    content = fmt::format("[Summary of the conversation so far: {}]\n\n{}", summary,
                          content.is_string() ? std::string_view(content.get_string()) : std::string_view());
    return result;
  }

  [[noreturn]] void refuse(std::string_view why) const {
    throw ApiError(400,
                   fmt::format("the conversation has {} tokens, does not fit a context of {} and cannot be "
                               "condensed: {}",
                               job_.prompts.front().tokens.size(), room_, why),
                   {.param = "messages",
                    .code = "context_length_exceeded",
                    .hint = "send less, or allow a larger context",
                    .facts = {{"n_prompt_tokens", job_.prompts.front().tokens.size()},
                              {"n_ctx", room_},
                              {"largest_context", largest_context(*model_.engine)}}});
  }

  Prepared question(const std::string& transcript) const {
    json::object message{{"role", "user"}, {"content", fmt::format("{}\n\n{}", kTask, transcript)}};
    return model_.chat->prepare({.messages = {{std::move(message)}}}, {.think = false});
  }

  // Asks for a summary of as many messages as fit from next_ on. Throws ApiError(400) where not one does.
  void ask() {
    std::string transcript;
    if (!summary_.text.empty()) transcript = fmt::format("What was said before: {}\n\n", summary_.text);
    Prepared prompt = question(transcript);
    std::int64_t estimate = std::ssize(prompt.tokens);
    std::vector<std::size_t> ends;  // of the transcript with each message
    for (std::size_t i = next_; i < summary_.end; ++i) {
      const std::string line = line_of(messages_[i]);
      estimate += std::ssize(plain_tokens(*model_.engine, line));
      if (!ends.empty() && estimate + budget_ > room_) break;
      transcript += line;
      ends.push_back(transcript.size());
    }
    // Texts that stand together may be a token more or less than each by itself.
    for (; !ends.empty(); ends.pop_back()) {
      prompt = question(transcript.substr(0, ends.back()));
      if (std::ssize(prompt.tokens) + budget_ <= room_) break;
    }
    if (ends.empty()) refuse(fmt::format("messages[{}] alone does not fit", next_));
    next_ += ends.size();
    GenerateOptions options{.max_tokens = budget_};
    options.sampler.temperature = 0;
    options.reply = std::move(prompt.reply);
    submit(std::move(prompt.tokens), options);
  }

  void submit(std::vector<std::int32_t> prompt, const GenerateOptions& options) {
    Scheduler& scheduler = *model_.scheduler;
    const Scheduler::Id id = scheduler.submit(
        {.prompt = std::move(prompt),
         .options = options,
         .priority = job_.settings.priority.value_or(service_.priority_of(exchange_->request().client)),
         .client = exchange_->request().client,
         .scope = exchange_->request().client,
         .deadline = service_.queue_deadline(job_.settings.queue_timeout),
         .on_event = [self = shared_from_this()](RequestEvent&& event) { self->hear(std::move(event)); }});
    exchange_->on_gone([self = shared_from_this(), &scheduler, id] {
      self->gone_ = true;
      scheduler.cancel(id);
    });
  }

  // On the scheduler's thread.
  void hear(RequestEvent&& event) {
    if (auto* finished = std::get_if<Finished>(&event)) {
      exchange_->post([self = shared_from_this(), text = reply_of(finished->generation).content,
                       cancelled = finished->generation.finish == FinishReason::cancelled]() mutable {
        self->guard([&] { self->take(std::move(text), cancelled); });
      });
    } else if (auto* failed = std::get_if<Failed>(&event)) {
      exchange_->post([self = shared_from_this(), error = failed->error] {
        self->guard([&] { throw ApiError(503, error.what(), {.hint = error.hint()}); });
      });
    }
  }

  void take(std::string text, bool cancelled) {
    if (gone_) return;
    if (cancelled) throw ApiError(503, "the server is shutting down");
    summary_.text = within_budget(std::move(text));
    if (next_ < summary_.end) return ask();
    job_.prompts.front() = job_.retelling->prepare(shortened(summary_.text));
    job_.retelling.reset();
    job_.settings.summarize = false;
    job_.summary = std::move(summary_);
    generate(service_, model_, exchange_, std::move(job_), std::move(answer_));
  }

  // What was written token by token may read as more tokens; then its end goes.
  std::string within_budget(std::string text) const {
    while (std::ssize(plain_tokens(*model_.engine, text)) > budget_) {
      std::size_t half = text.size() / 2;
      while (half > 0 && (static_cast<unsigned char>(text[half]) & 0xC0) == 0x80) --half;
      text.resize(half);
    }
    return text;
  }

  // What throws is answered.
  template <class Work>
  void guard(Work&& work) {
    try {
      work();
    } catch (...) {
      exchange_->reply(error_response(job_.dialect, current_error()));
    }
  }

  Service& service_;
  Model& model_;
  std::shared_ptr<Exchange> exchange_;
  Job job_;
  std::unique_ptr<Answer> answer_;
  const std::vector<ChatMessage> messages_;
  std::int64_t room_;        // tokens of prompt and answer
  std::int64_t budget_ = 0;  // of a summary
  Summary summary_;
  std::size_t next_ = 0;  // the first message that no summary covers
  bool gone_ = false;
};

}  // namespace

json::object to_json(const Summary& summary) {
  return {
      {"begin", summary.begin}, {"end", summary.end}, {"tokens", summary.tokens}, {"summary", summary.text}};
}

bool needs_summary(const Engine& engine, const Job& job) {
  if (!job.settings.summarize) return false;
  if (!job.retelling)
    throw ApiError(400, "overflow: there are no turns here that could be summarized",
                   {.param = "overflow", .hint = "\"shift\" leaves out the middle of a text"});
  return std::ssize(job.prompts.front().tokens) >= room_of(engine, job.settings);
}

void summarize(Service& service, Model& model, const std::shared_ptr<Exchange>& exchange, Job job,
               std::unique_ptr<Answer> answer) {
  std::make_shared<Summarizing>(service, model, exchange, std::move(job), std::move(answer))->start();
}

}  // namespace medlar::server
