#include "engine/embedding.h"

#include <algorithm>
#include <array>
#include <list>
#include <map>
#include <mutex>
#include <utility>

#include "engine/classifier.h"
#include "engine/dense_layers.h"
#include "engine/hidden_graph.h"
#include "engine/impl.h"
#include "engine/step_batch.h"

namespace medlar {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kMostSequences = 32;  // inputs that are read together
constexpr std::size_t kMostWaiting = 256;    // requests

constexpr std::array<std::pair<Pooling, std::string_view>, 5> kNames{{{Pooling::none, "none"},
                                                                      {Pooling::mean, "mean"},
                                                                      {Pooling::cls, "cls"},
                                                                      {Pooling::last, "last"},
                                                                      {Pooling::rank, "rank"}}};

// What the file says. Of decoders that say nothing the last token has seen all of the text.
Pooling pooling_of(const gguf::File& file, bool encoder) {
  const std::string key =
      fmt::format("{}.pooling_type", file.metadata().get<std::string>("general.architecture"));
  const auto number = file.metadata().find<std::uint32_t>(key);
  if (!number) return encoder ? Pooling::mean : Pooling::last;
  if (*number >= kNames.size())
    fail(ErrorKind::bad_file, "{}: key {}: there is no kind of pooling {}", file.name(), key, *number);
  return static_cast<Pooling>(*number);
}

std::int64_t pages_for(std::int64_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }

struct Job {
  Embedder::Id id = 0;
  EmbeddingRequest request;
  std::vector<Embedding> results;
  std::size_t begun = 0, done = 0;  // inputs
  std::atomic<bool> cancelled{false};
  bool over = false;  // the listener has been told, or is not interested
};

// An input being read.
struct Reading {
  std::shared_ptr<Job> job;
  std::size_t input = 0;
  int sequence = 0;
  std::int64_t length = 0;       // tokens read
  std::vector<double> sum = {};  // of the hidden states, for the mean

  std::span<const std::int32_t> tokens() const { return job->request.inputs[input]; }
  std::int64_t left() const { return std::ssize(tokens()) - length; }
};

}  // namespace

Pooling parse_pooling(std::string_view name) {
  for (const auto& [pooling, known] : kNames)
    if (known == name && pooling != Pooling::rank) return pooling;
  throw Error(ErrorKind::usage, fmt::format("there is no pooling \"{}\"", name),
              "choose none, mean, cls or last");
}

std::string_view to_string(Pooling pooling) { return kNames[static_cast<std::size_t>(pooling)].second; }

struct Embedder::Impl {
  // What reads: a program without the head, and its cache. All but the making is on the scheduler's thread.
  struct Reader {
    ir::Graph graph;
    std::unique_ptr<runtime::Program> program;
    int groups;
    ProgramCharges charges;
    PageTree tree;
    std::vector<int> free_sequences;
    std::int64_t free_pages;

    explicit Reader(Engine::Impl& engine)
        : graph(hidden_graph(engine.model)),
          program(engine.backend->lower(graph, options(engine))),
          groups(static_cast<int>(graph.group_windows().size())),
          charges(engine.ledgers(), *program,
                  {.memories = engine.backend->memories(), .groups = groups, .weights = false}),
          tree(Timeline::tree_options(
              graph, *program, engine.kv_pages(sequences(engine), engine.context),
              {.sequences = static_cast<std::int32_t>(sequences(engine)), .positions = engine.context})),
          free_pages(tree.usage().pages) {
      for (int s = static_cast<int>(sequences(engine)); s-- > 0;) free_sequences.push_back(s);
    }
    static std::int64_t sequences(const Engine::Impl& engine) {
      return std::min<std::int64_t>(kMostSequences, engine.options.batch);
    }
    static runtime::ProgramOptions options(const Engine::Impl& engine) {
      runtime::ProgramOptions options = engine.program_options();
      options.max_logit_rows = options.max_tokens;
      options.max_sequences = static_cast<int>(sequences(engine));
      options.kv_pages = engine.kv_pages(sequences(engine), engine.context);
      options.best = false;  // rows are no logits
      return options;
    }
    // Nobody needs what was in the cache.
    void give_back() {
      tree.forget_unused();
      for (int group = 0; group < groups; ++group) program->release_pages(group, tree.take_released(group));
      charges.note(tree);
    }
  };

  Scheduler& scheduler;
  std::shared_ptr<const Engine> owner;
  Engine::Impl& engine;
  Pooling pooling;
  std::optional<Classifier> classifier;
  DenseLayers dense;  // behind pooling
  std::string rank_prompt;

  std::mutex mutex;  // of what follows, up to the mark
  std::map<Id, std::shared_ptr<Job>> known;
  std::vector<std::shared_ptr<Job>> submitted;
  Id last_id = 0;
  std::optional<Reader> reader;  // is made with the mutex, and then the scheduler's thread's alone
  // The mark: the scheduler's thread alone.
  std::list<std::shared_ptr<Job>> jobs;  // in the order they came
  std::vector<Reading> readings;

  Impl(Scheduler& s, Engine::Impl& e, std::optional<Pooling> wanted)
      : scheduler(s),
        owner(s.engine().shared_from_this()),
        engine(e),
        pooling(wanted.value_or(pooling_of(e.file, e.model.encoder))) {
    if (pooling == Pooling::rank) {
      classifier = Classifier::find(e.file, width());
      if (!classifier)
        fail(ErrorKind::bad_file, "{}: the model ranks, but has no tensor cls.output.weight", e.file.name());
    }
    dense = DenseLayers::find(e.file, width());
    rank_prompt = e.file.metadata().get_or<std::string>("tokenizer.chat_template.rerank", "");
  }

  std::int64_t width() const { return engine.description.dim; }

  void check(const EmbeddingRequest& request) const;
  std::shared_ptr<Job> next_job();
  void begin_inputs();
  void forget_ended();
  void read(std::int64_t tokens);
  void take(Reading& reading, std::span<const float> rows, std::int64_t first);
  void end(Reading& reading);
  void fail_all(const Error& error);
};

// --- admission

void Embedder::Impl::check(const EmbeddingRequest& request) const {
  if (request.inputs.empty()) throw Error(ErrorKind::usage, "there is nothing to embed", "send a text");
  for (const auto& input : request.inputs) {
    if (input.empty()) throw Error(ErrorKind::usage, "an input has no tokens", "send a text");
    if (std::ssize(input) > engine.context)
      throw Error(ErrorKind::limit,
                  fmt::format("an input has {} tokens, and the context is {}", input.size(), engine.context),
                  "send less, or allow a larger context");
    for (const std::int32_t token : input)
      if (token < 0 || token >= engine.model.config.vocab)
        throw Error(
            ErrorKind::usage,
            fmt::format("an input holds token {}, and the model has {}", token, engine.model.config.vocab),
            "use the model's own tokenizer");
  }
}

// Of those with an input that is not begun, one of the client who has the fewest in reading, and then the one
// that has the fewest itself.
std::shared_ptr<Job> Embedder::Impl::next_job() {
  std::shared_ptr<Job> best;
  std::pair<std::ptrdiff_t, std::ptrdiff_t> fewest;
  for (const auto& job : jobs) {
    if (job->over || job->begun == job->request.inputs.size()) continue;
    const std::pair count(
        std::ranges::count_if(readings,
                              [&](const Reading& r) { return r.job->request.client == job->request.client; }),
        std::ranges::count_if(readings, [&](const Reading& r) { return r.job == job; }));
    if (!best || count < fewest) best = job, fewest = count;
  }
  return best;
}

void Embedder::Impl::begin_inputs() {
  while (!reader->free_sequences.empty()) {
    const std::shared_ptr<Job> job = next_job();
    if (!job) return;
    const std::int64_t pages = pages_for(std::ssize(job->request.inputs[job->begun]));
    if (pages > reader->free_pages) return;
    reader->free_pages -= pages;
    readings.push_back({job, job->begun++, reader->free_sequences.back()});
    reader->free_sequences.pop_back();
    reader->tree.begin(readings.back().sequence, {}, {});
  }
}

void Embedder::Impl::forget_ended() {
  const auto now = Clock::now();
  for (const auto& job : jobs) {
    if (job->cancelled) job->over = true;
    if (job->over || job->begun > 0 || !job->request.deadline || now <= *job->request.deadline) continue;
    job->over = true;
    job->request.on_failed(Error(ErrorKind::limit, "the request waited in the queue past its deadline",
                                 "try again later, or allow it more time"));
  }
  for (Reading& reading : readings)
    if (reading.job->over) end(reading);
  std::erase_if(readings, [](const Reading& r) { return r.sequence < 0; });
  jobs.remove_if([](const auto& job) { return job->over; });
}

// --- reading

// One step of all inputs. Those with the least left come first and leave what they do not need of their share
// to the others, so that a long text does not hold up short ones.
void Embedder::Impl::read(std::int64_t tokens) {
  std::ranges::sort(readings, {}, &Reading::left);
  const bool encoder = engine.model.encoder;
  StepBatch batch(encoder ? engine.options.batch : std::min<std::int64_t>(tokens, engine.options.batch));
  struct Part {
    Reading* reading;
    std::int64_t tokens, rows;
  };
  std::vector<Part> parts;
  const bool every_row = pooling != Pooling::last && (pooling != Pooling::rank || encoder);
  for (std::size_t i = 0; i < readings.size() && batch.room() > 0; ++i) {
    Reading& r = readings[i];
    const std::int64_t others = std::ssize(readings) - static_cast<std::int64_t>(i);
    if (encoder && r.left() > batch.room()) break;  // its tokens see each other
    const std::int64_t count =
        encoder ? r.left() : std::min(r.left(), std::max<std::int64_t>(1, batch.room() / others));
    const auto some = r.tokens().subspan(static_cast<std::size_t>(r.length), static_cast<std::size_t>(count));
    if (!reader->tree.extend(r.sequence, some)) continue;
    const bool whole = count == r.left();
    batch.add(r.sequence, r.length, some,
              every_row ? StepBatch::Logits::all
              : whole   ? StepBatch::Logits::last
                        : StepBatch::Logits::none);
    parts.push_back({&r, count, every_row ? count : whole ? 1 : 0});
  }
  if (batch.empty())
    throw Error(ErrorKind::limit, "there is no room in the cache for embeddings", "send shorter texts");
  batch.run(*reader->program, reader->tree, reader->groups);
  std::span<const float> rows = reader->program->logits();
  engine.check_file();
  reader->charges.note(reader->tree);
  for (const Part& part : parts) {
    const auto values = static_cast<std::size_t>(part.rows * width());
    take(*part.reading, rows.first(values), part.reading->length);
    rows = rows.subspan(values);
    part.reading->length += part.tokens;
    if (part.reading->left() == 0) end(*part.reading);
  }
  std::erase_if(readings, [](const Reading& r) { return r.sequence < 0; });
}

// Hidden states of the input's tokens from `first` on, as many as were asked for.
void Embedder::Impl::take(Reading& r, std::span<const float> rows, std::int64_t first) {
  Embedding& result = r.job->results[r.input];
  result.width = width();
  const auto dim = static_cast<std::size_t>(width());
  if (rows.empty()) return;
  switch (pooling) {
    case Pooling::none:
      result.values.insert(result.values.end(), rows.begin(), rows.end());
      return;
    case Pooling::mean:
      r.sum.resize(dim);
      for (std::size_t i = 0; i < rows.size(); ++i) r.sum[i % dim] += static_cast<double>(rows[i]);
      result.values.resize(dim);
      for (std::size_t i = 0; i < dim; ++i)
        result.values[i] = static_cast<float>(r.sum[i] / static_cast<double>(r.tokens().size()));
      if (r.length + std::ssize(rows) / width() == std::ssize(r.tokens()))
        result.values = dense(result.values);
      return;
    case Pooling::cls:
      if (first == 0) result.values = dense(rows.first(dim));
      return;
    case Pooling::last:
      result.values = dense(rows);
      return;
    case Pooling::rank:
      // An encoder's first token stands for the text, a decoder's last.
      result.values = (*classifier)(rows.first(dim));
      result.width = std::ssize(result.values);
      return;
  }
}

// The sequence is free again; the last input of a request ends it.
void Embedder::Impl::end(Reading& r) {
  reader->tree.end(r.sequence);
  reader->free_sequences.push_back(std::exchange(r.sequence, -1));
  reader->free_pages += pages_for(std::ssize(r.tokens()));
  Job& job = *r.job;
  if (job.over || ++job.done < job.request.inputs.size()) return;
  job.over = true;
  job.request.on_done(std::move(job.results));
}

void Embedder::Impl::fail_all(const Error& error) {
  for (Reading& reading : std::exchange(readings, {})) {
    reader->tree.end(reading.sequence);
    reader->free_sequences.push_back(reading.sequence);
    reader->free_pages += pages_for(std::ssize(reading.tokens()));
  }
  for (const auto& job : std::exchange(jobs, {}))
    if (!std::exchange(job->over, true) && !job->cancelled) job->request.on_failed(error);
}

// --- the public side

Embedder::Embedder(Scheduler& scheduler, std::optional<Pooling> pooling)
    : impl_(std::make_unique<Impl>(scheduler, *scheduler.engine().impl_, pooling)) {}
Embedder::~Embedder() {
  for (auto& job : std::exchange(impl_->submitted, {})) impl_->jobs.push_back(std::move(job));
  impl_->fail_all(Error(ErrorKind::limit, "the server is shutting down", "try again later"));
}

Pooling Embedder::pooling() const { return impl_->pooling; }
std::int64_t Embedder::width() const { return impl_->width(); }
std::int64_t Embedder::context() const { return impl_->engine.context; }
bool Embedder::ranks() const { return impl_->classifier.has_value(); }
std::string_view Embedder::rank_prompt() const { return impl_->rank_prompt; }
std::span<const std::string> Embedder::labels() const {
  return impl_->classifier ? impl_->classifier->labels() : std::span<const std::string>();
}

Embedder::Id Embedder::embed(EmbeddingRequest request) {
  impl_->check(request);
  auto job = std::make_shared<Job>();
  job->results.resize(request.inputs.size());
  job->request = std::move(request);
  const std::lock_guard lock(impl_->mutex);
  if (impl_->known.size() >= kMostWaiting)
    throw Error(ErrorKind::limit, fmt::format("{} requests are waiting already", kMostWaiting),
                "try again later");
  if (!impl_->reader) impl_->reader.emplace(impl_->engine);
  impl_->scheduler.run(shared_from_this());
  const Id id = job->id = ++impl_->last_id;
  impl_->known.emplace(id, job);
  impl_->submitted.push_back(std::move(job));
  return id;
}

void Embedder::cancel(Id id) {
  const std::lock_guard lock(impl_->mutex);
  if (const auto job = impl_->known.find(id); job != impl_->known.end()) job->second->cancelled = true;
}

bool Embedder::work(std::int64_t tokens) {
  {
    const std::lock_guard lock(impl_->mutex);
    for (auto& job : std::exchange(impl_->submitted, {})) impl_->jobs.push_back(std::move(job));
  }
  try {
    impl_->forget_ended();
    impl_->begin_inputs();
    if (!impl_->readings.empty()) impl_->read(tokens);
    impl_->forget_ended();
  } catch (const Error& error) {
    impl_->fail_all(error);
  }
  if (impl_->readings.empty()) impl_->reader->give_back();
  const std::lock_guard lock(impl_->mutex);
  std::erase_if(impl_->known, [](const auto& job) { return job.second->over; });
  return !impl_->jobs.empty() || !impl_->submitted.empty();
}

}  // namespace medlar
