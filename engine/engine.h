// The public API: an Engine is a loaded model; a Session is one conversation's timeline on it.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ledger.h"
#include "base/team.h"
#include "engine/device_ledgers.h"
#include "engine/reply_plan.h"
#include "engine/sampler/options.h"
#include "engine/sampler/sampler.h"
#include "formats/dtype.h"
#include "runtime/backend.h"
#include "text/chat_template.h"
#include "text/grammar/matcher.h"
#include "text/tokenizer.h"

namespace medlar {

enum class Device : std::uint8_t { automatic, cpu, cuda, metal, emulator };
// Throws Error(usage) listing the names.
Device parse_device(std::string_view name);
std::string_view to_string(Device device);

// A LoRA adapter of the model: a GGUF file, or a folder as PEFT saves it.
struct AdapterOptions {
  std::filesystem::path path;
  float scale = 1;  // of what it adds; 0: it is off

  friend bool operator==(const AdapterOptions&, const AdapterOptions&) = default;
};

struct EngineOptions {
  std::int64_t context = 0;  // tokens a session can hold; 0: the model's own, at most kDefaultContext
  // Of the KV cache; unset: q8_0, or f16 where a head is no whole number of its blocks.
  std::optional<DType> k_type, v_type;
  int threads = 0;         // 0: the machine's performance cores
  int batch = 0;           // tokens read at once; 0: as many as suit the device
  int sequences = 1;       // timelines at once, each of up to `context` tokens (scheduler.h)
  std::int64_t cache = 0;  // tokens that all timelines together can hold; 0: one context
  // Of logits that one step may give, for scoring many tokens (Engine::score_rows); 0: a few MB.
  std::int64_t score_bytes = 0;
  // automatic: a GPU that is here, that has kernels for the model and memory for it, or for enough of its
  // layers to make it faster; else the CPU.
  Device device = Device::automatic;
  // So many of the model's layers, the last ones, run on the GPU, and the others on the CPU; kFittingLayers:
  // as many as there is room for. Unset: all of them, and where `device` is automatic kFittingLayers if all
  // have no room.
  std::optional<int> gpu_layers;
  int gpus = 0;        // that the model is spread over, by layers; 0: as few as hold it
  bool exact = false;  // f32 activations and f32 KV: slower, for comparing
  bool fuse = true;
  // An answer does not depend on what else is answered at the same time (runtime::ProgramOptions).
  bool batch_invariant = false;
  // What it takes is charged here; null: to an account of its own.
  std::shared_ptr<Ledger> ledger;
  // The same for memory of devices' own. Ceilings are set to what each device has for this process.
  std::shared_ptr<DeviceLedgers> device_ledgers;
  // Where a device keeps kernels that it has compiled; empty: nowhere.
  std::filesystem::path kernel_cache;
  std::vector<AdapterOptions> adapters;  // all at once
  // Runs the steps, those of other engines in turn; null: threads of its own, `threads` of them.
  std::shared_ptr<Team> team;
};

inline constexpr std::int64_t kDefaultContext = 32768;
inline constexpr int kFittingLayers = -1;

// What a model file says about itself.
struct ModelDescription {
  std::string name, architecture;
  std::int64_t parameters = 0;
  std::int64_t file_bytes = 0;
  std::int64_t layers = 0, dim = 0, heads = 0, kv_heads = 0, head_dim = 0, vocab = 0;
  std::int64_t trained_context = 0;
  struct Type {
    DType type;
    std::int64_t tensors = 0, bytes = 0;
  };
  std::vector<Type> types;    // the quantization mix, most bytes first
  std::string chat_template;  // empty: none
};

// Reads the description without loading anything. Throws what opening a model file throws.
ModelDescription describe(const std::filesystem::path& path);

enum class FinishReason : std::uint8_t {
  stop,       // the model ended its turn, a stop string appeared, or the grammar allows no more
  length,     // max_tokens, or the context is full: Generation::message says which
  cancelled,  // the caller asked
  no_token,   // no token can follow: logits are not numbers, or all are banned, or the grammar allows none
};
std::string_view to_string(FinishReason reason);

struct GenerateOptions {
  std::int64_t max_tokens = -1;  // -1: until the context is full
  SamplerOptions sampler;
  std::vector<std::string> stop;  // the answer ends before the first of these
  bool ignore_end = false;        // go on past end-of-turn tokens (benchmarks)
  // The answer is a text of this grammar, and ends with it; ignore_end does not apply. Made for vocabulary()
  // of the engine that answers.
  std::shared_ptr<grammar::Constraint> grammar;
  // Takes the answer apart into content, reasoning and tool calls, which on_reply is told instead of on_text.
  std::shared_ptr<const ReplyPlan> reply;
  int top_logprobs = 0;                       // log probabilities reported for each token
  const std::atomic<bool>* cancel = nullptr;  // looked at before every step
  // Text as it becomes certain: whole characters, and nothing that may still turn into a stop string.
  std::function<void(std::string_view)> on_text;
  std::function<void(std::vector<reply::Delta>&&)> on_reply;
  // While the prompt is read: tokens done, tokens to do.
  std::function<void(std::int64_t, std::int64_t)> on_prompt;
};

struct Usage {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;  // of the prompt, already in the session's cache
  std::int64_t completion_tokens = 0;
  std::int64_t reasoning_tokens = 0;  // of these, with GenerateOptions::reply
};

struct Timings {
  double prompt_ms = 0;  // reading what was not cached
  double ttft_ms = 0;    // from the call to the first token
  double decode_ms = 0;  // from the first token to the last
  // Tokens a second; 0 where nothing was measured.
  double prompt_tps = 0, decode_tps = 0;
};

// Tokens [begin, end) of a timeline, counted from its first, that were left out of what the model sees.
struct DroppedTokens {
  std::int64_t begin = 0, end = 0;
};

struct TokenInfo {
  std::int32_t token = 0;
  float logprob = 0;
  std::vector<TokenProbability> best;
};

struct Generation {
  std::string text;
  std::vector<std::int32_t> tokens;  // sampled, the end-of-turn token excluded
  FinishReason finish = FinishReason::stop;
  std::string message;  // why it ended, where `finish` alone does not say
  Usage usage;
  Timings timings;
  std::uint64_t seed = 0;
  std::vector<TokenInfo> logprobs;     // with GenerateOptions::top_logprobs
  std::vector<DroppedTokens> dropped;  // with Overflow::shift, in the order it happened
  std::optional<reply::Reply> reply;   // with GenerateOptions::reply; its text has special tokens, too
};

class Session;

// What an engine, and others of this process that share its ledgers, hold of a device's own memory.
struct DeviceUse {
  std::string name;  // as the device calls itself
  int number = 0;    // runtime::DeviceMemory
  Ledger::Snapshot books;
};

// Immutable after load, shared by its sessions. Sessions take turns: one runs at a time.
class Engine : public std::enable_shared_from_this<Engine> {
 public:
  // Maps the file and lowers the model; no weights are copied. Throws Error: not_found, bad_file,
  // unsupported, out_of_memory, device.
  static std::shared_ptr<Engine> load(const std::filesystem::path& path, const EngineOptions& options = {});

  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);  // for load()
  ~Engine();

  const ModelDescription& description() const;
  const text::Tokenizer& tokenizer() const;
  // The tokens as grammars see them; made when first asked for.
  std::shared_ptr<const grammar::Vocabulary> vocabulary() const;
  // The file's own template; null for a model that only completes text.
  const text::ChatTemplate* chat_template() const;

  std::int64_t context() const;
  int threads() const;
  int batch() const;       // tokens read at once
  int score_rows() const;  // tokens whose logits one step can give
  std::string_view device() const;
  // Which layers are on which device, where they are on several: "24 of 32 layers on NVIDIA H200, 8 on the
  // CPU"; else empty.
  std::string_view placement() const;
  double load_ms() const;
  std::span<const AdapterOptions> adapters() const;
  DType k_type() const;  // of the KV cache
  DType v_type() const;
  const runtime::MemoryPlan& memory_plan() const;
  const Ledger& ledger() const;
  // Of those devices that have memory of their own, in the order of the layers on them.
  std::vector<DeviceUse> device_uses() const;
  // Of each device, measured now (runtime::Backend). Not while a session runs.
  std::vector<std::optional<runtime::DeviceLimits>> measure_limits() const;
  // Gives memory back that the next step takes again: pages of the file, which stay in the system's cache.
  // Any thread.
  void rest();
  // What each step runs, and who is told how long it took; null: nobody. Not while a session runs.
  std::vector<runtime::CallInfo> calls() const;
  void observe(runtime::StepObserver observer) const;
  // What each step multiplies with its weights; of engines on the CPU with EngineOptions::exact. Throws
  // Error(unsupported). Not while a session runs.
  void observe_products(runtime::ProductObserver observer) const;

  // Throws Error(limit) while another session is open: this engine holds one timeline's cache.
  Session open_session();

 private:
  friend class Embedder;
  friend class Scheduler;
  friend class Session;
  std::unique_ptr<Impl> impl_;
};

// One timeline of tokens. Move-only; keeps its engine alive.
class Session {
 public:
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  // Continues `prompt` (the whole timeline so far). The part that equals what the session already holds is
  // not read again. Throws Error(limit) when the prompt leaves no room in the context; Error(io) when the
  // model's file was damaged meanwhile.
  Generation generate(std::span<const std::int32_t> prompt, const GenerateOptions& options);

  // Reads `tokens` from the start and hands over the logits after each: `first` is the position of the first
  // row of `logits`, (rows, vocab). Throws as generate() does.
  using Rows = std::function<void(std::int64_t first, std::span<const float> logits)>;
  void score(std::span<const std::int32_t> tokens, const Rows& rows);

  // Reads at most Engine::score_rows() tokens behind what the session holds; the logits after each of them,
  // (tokens, vocab), are valid until the session's next call. Throws as generate() does.
  std::span<const float> extend(std::span<const std::int32_t> tokens);

  // Makes `timeline` what the session holds, reading only what it lacks; samples nothing. For benchmarks and
  // for filling a cache ahead of time. Throws as generate() does.
  void feed(std::span<const std::int32_t> timeline);

  std::span<const std::int32_t> tokens() const;  // what the cache holds
  void reset();

 private:
  friend class Engine;
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace medlar
