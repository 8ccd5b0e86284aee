// What an Engine holds. Internal to engine/.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "checkpoint/gguf.h"
#include "engine/backends.h"
#include "engine/engine.h"
#include "engine/placement.h"
#include "engine/program_charges.h"
#include "engine/timeline.h"
#include "models/model.h"

namespace medlar {

struct Engine::Impl {
  EngineOptions options;
  gguf::File file;                           // must outlive the graph, whose weights are views into it
  std::vector<gguf::File> adapters;          // must outlive the graph, too
  std::vector<AdapterOptions> adapted = {};  // what `adapters` are
  ModelDescription description;
  models::Model model;
  std::int64_t built_for = 0;  // the context that the model's graph is for: some depend on it
  std::optional<text::Tokenizer> tokenizer;
  std::optional<text::ChatTemplate> chat_template;
  std::int64_t context = 0;
  int threads = 1;
  int score_rows = 1;  // tokens whose logits one step can give
  double load_ms = 0;
  std::vector<Placement::Part> parts;  // which device has which layers
  std::shared_ptr<runtime::Backend> backend;
  std::unique_ptr<runtime::Program> program;
  std::optional<ProgramCharges> charges;  // whoever runs keeps them true
  Ledger::Charge tables;
  std::once_flag vocabulary_made;
  std::shared_ptr<const grammar::Vocabulary> vocabulary;
  std::mutex running;             // one step at a time
  std::atomic<bool> open{false};  // a session or a scheduler exists

  // Opens the file and builds the graph; nothing is loaded, and no weight is read.
  explicit Impl(const std::filesystem::path& path);
  // Makes the whole engine of it. Throws Error: bad_file, unsupported, out_of_memory, device.
  void load(const EngineOptions& options, Backends backends = {});
  // Lowers the model's program; where a device's memory goes meanwhile, with the next choice.
  void lower(Backends& backends);
  // Opens the adapters and builds the graph again where it is for others, or for another context.
  void rebuild(const EngineOptions& options);
  // Settles what `options` leave open: the context, threads, the size of a step.
  void settle(const EngineOptions& options);
  // What options.device and its like come to: for Device::automatic, the first of its choices that has room.
  // They then say which. Throws what place() does.
  Placement choose_placement(Backends& backends);
  // What place() is asked for.
  Placing placing(const runtime::ProgramOptions& program) const {
    return {model.graph, program, {.threads = threads, .team = options.team}};
  }
  // Throws Error(unsupported) for an encoder, which has no next token to tell.
  void need_head() const;
  // Whoever runs steps is the only one. Throws Error(limit) when there is one.
  void claim();
  // Of all sequences, for the program's pages.
  PageTreeOptions page_tree_options();
  std::array<std::int32_t, kMaxKvGroups> kv_pages() const;
  // For sequences that can hold so many tokens together.
  std::array<std::int32_t, kMaxKvGroups> kv_pages(std::int64_t sequences, std::int64_t tokens) const;
  // As for the engine's program, but for steps of other sizes.
  DType k_type() const;
  DType v_type() const;
  runtime::ProgramOptions program_options() const;
  // What the bytes of a page depend on beside its tokens.
  std::string identity() const;
  // Charges what the program takes, for which its devices have `rooms`. Throws Error(out_of_memory).
  void charge(const std::vector<runtime::DeviceMemory>& rooms);
  Ledgers ledgers() const { return {options.ledger, options.device_ledgers}; }
  // The mapped pages of the file go back to the system, which reads them again when they are needed.
  void release_file() const;
  // Throws Error(io) when the mapped file was truncated or overwritten.
  void check_file() const;
};

}  // namespace medlar
