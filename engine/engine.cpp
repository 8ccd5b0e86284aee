#include "engine/engine.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <numeric>

#include "base/assert.h"
#include "base/host.h"
#include "engine/impl.h"
#include "formats/all.h"
#include "huggingface/adapter.h"
#include "huggingface/open.h"
#include "models/tokenizer_spec.h"

namespace medlar {
namespace {

struct DeviceName {
  Device device;
  std::string_view name;
};
constexpr DeviceName kDevices[] = {{Device::automatic, "auto"},
                                   {Device::cpu, "cpu"},
                                   {Device::cuda, "cuda"},
                                   {Device::metal, "metal"},
                                   {Device::emulator, "emulator"}};

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

text::ChatTemplate make_chat_template(const std::string& source, const text::Tokenizer& tokenizer,
                                      std::string_view file) {
  const auto name = [&](text::TokenId token) {
    return token == text::kNoToken ? std::string() : std::string(tokenizer.piece(token, {.special = true}));
  };
  const text::SpecialTokens& special = tokenizer.special();
  try {
    return text::ChatTemplate(source,
                              {name(special.bos), name(special.eos), name(special.unk), name(special.pad)});
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: key tokenizer.chat_template: {}", file, error.what()),
                error.hint());
  }
}

// What stands before the first tensor of a part.
std::size_t header_bytes(const MappedFile& part, const gguf::File& file) {
  std::size_t header = part.bytes().size();
  for (const gguf::Tensor& t : file.tensors())
    header = std::min(header, static_cast<std::size_t>(t.view.bytes.data() - part.bytes().data()));
  return header;
}

// The bytes that tell a file from another: its metadata, which GGUF has in the header, every tensor's place,
// and samples of the weights.
void append_identity(std::string& text, const gguf::File& file) {
  constexpr std::size_t kSample = 4096, kSamples = 256;
  if (file.memory_bytes() > 0)
    for (const gguf::Entry& entry : file.metadata().entries()) {
      text += fmt::format(" {} {} ", entry.key, entry.value.size());
      text.append(reinterpret_cast<const char*>(entry.value.data()), entry.value.size());
    }
  for (const MappedFile& part : file.parts()) {
    const auto bytes = part.bytes();
    const auto add = [&](std::size_t from, std::size_t count) {
      text.append(reinterpret_cast<const char*>(bytes.data() + from), std::min(count, bytes.size() - from));
    };
    text += fmt::format(" {} ", bytes.size());
    add(0, header_bytes(part, file));
    for (std::size_t i = 0; i < kSamples; ++i) add(bytes.size() / kSamples * i, kSample);
  }
}

// `dim`: what blocks of the type must divide.
DType kv_type(const EngineOptions& options, std::optional<DType> wanted, std::int64_t dim) {
  if (options.exact) return DType::f32;
  if (wanted) return *wanted;
  return dim % format_info(DType::q8_0).block_length == 0 ? DType::q8_0 : DType::f16;
}

ModelDescription describe(const gguf::File& file) {
  const gguf::Metadata& meta = file.metadata();
  ModelDescription d;
  d.architecture = meta.get<std::string>("general.architecture");
  d.name = meta.get_or<std::string>("general.name", file.parts()[0].path().stem().string());
  const auto number = [&](std::string_view key, std::int64_t otherwise) {
    const std::string full = fmt::format("{}.{}", d.architecture, key);
    return meta.contains(full) ? meta.largest(full) : otherwise;
  };
  d.layers = number("block_count", 0);
  d.dim = number("embedding_length", 0);
  d.heads = number("attention.head_count", 0);
  d.kv_heads = number("attention.head_count_kv", d.heads);
  d.head_dim = number("attention.key_length", d.heads > 0 ? d.dim / d.heads : 0);
  d.trained_context = number("context_length", 0);
  d.chat_template = meta.get_or<std::string>("tokenizer.chat_template", "");
  std::map<DType, ModelDescription::Type> types;
  for (const gguf::Tensor& t : file.tensors()) {
    ModelDescription::Type& type = types[t.view.type];
    type.type = t.view.type;
    ++type.tensors;
    type.bytes += std::ssize(t.view.bytes);
    d.parameters += t.view.shape.elements();
    if (t.name == "token_embd.weight") d.vocab = t.view.shape[0];
  }
  for (const auto& [id, type] : types) d.types.push_back(type);
  std::ranges::sort(d.types, std::greater{}, &ModelDescription::Type::bytes);
  for (const MappedFile& part : file.parts()) d.file_bytes += std::ssize(part.bytes());
  return d;
}

}  // namespace

Device parse_device(std::string_view name) {
  for (const DeviceName& d : kDevices)
    if (d.name == name) return d.device;
  std::string names;
  for (const DeviceName& d : kDevices) names += fmt::format("{}{}", names.empty() ? "" : ", ", d.name);
  throw Error(ErrorKind::usage, fmt::format("there is no device \"{}\"", name), "choose one of " + names);
}

std::string_view to_string(Device device) {
  return std::ranges::find(kDevices, device, &DeviceName::device)->name;
}

std::string_view to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::cancelled:
      return "cancelled";
    case FinishReason::no_token:
      return "no_token";
  }
  return "";
}

ModelDescription describe(const std::filesystem::path& path) {
  return describe(huggingface::open_model(path));
}

Engine::Impl::Impl(const std::filesystem::path& path) : file(huggingface::open_model(path)) {
  const auto start = std::chrono::steady_clock::now();
  description = describe(file);
  model = models::build({file});
  built_for = model.config.context;
  load_ms = milliseconds_since(start);
}

void Engine::Impl::load(const EngineOptions& o, Backends backends) {
  const auto start = std::chrono::steady_clock::now();
  tokenizer.emplace(models::tokenizer_spec(file.metadata()));
  if (tokenizer->size() != model.config.vocab)
    fail(ErrorKind::bad_file, "{}: tokenizer.ggml.tokens has {} entries, but token_embd.weight has {} rows",
         file.name(), tokenizer->size(), model.config.vocab);
  if (!description.chat_template.empty())
    chat_template.emplace(make_chat_template(description.chat_template, *tokenizer, file.name()));
  settle(o);
  lower(backends);
  if (std::ranges::any_of(backend->memories(), &runtime::DeviceMemory::apart)) release_file();
  load_ms += milliseconds_since(start);
}

void Engine::Impl::rebuild(const EngineOptions& o) {
  const bool others = o.adapters != adapted;
  if (context == built_for && !others) return;
  std::vector<gguf::File> opened;
  if (others)
    for (const AdapterOptions& a : o.adapters) opened.push_back(huggingface::open_adapter(a.path, file));
  const std::vector<gguf::File>& files = others ? opened : adapters;
  std::vector<models::Adapter> with;
  for (std::size_t i = 0; i < files.size(); ++i) with.push_back({&files[i], o.adapters[i].scale});
  model = models::build({file, context, with});
  built_for = context;
  if (others) adapters = std::move(opened), adapted = o.adapters;
}

void Engine::Impl::settle(const EngineOptions& o) {
  options = o;
  context = o.context > 0 ? o.context : std::min(model.config.context, kDefaultContext);
  if (o.cache > 0) context = std::min(context, o.cache);
  rebuild(o);
  threads = o.team ? o.team->size() : o.threads > 0 ? o.threads : probe().default_threads();
  options.sequences = std::max(o.sequences, 1);
  if (o.batch == 0) return;  // choose_placement() knows the device
  options.batch = static_cast<int>(std::clamp<std::int64_t>(o.batch, 1, context));
  options.batch = std::max(options.batch, options.sequences);
  // A text is read in one step.
  if (model.encoder) options.batch = static_cast<int>(std::max<std::int64_t>(options.batch, context));
  // Unless asked for more: enough rows to score quickly, within a few MB of logits.
  const std::int64_t row_bytes = model.config.vocab * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t rows = (o.score_bytes > 0 ? o.score_bytes : 8 << 20) / row_bytes;
  score_rows = static_cast<int>(std::min<std::int64_t>(options.batch, std::max<std::int64_t>(rows, 4)));
}

Placement Engine::Impl::choose_placement(Backends& backends) {
  const std::vector<EngineOptions> all = choices(options, backends);
  for (const EngineOptions& choice : all) {
    const bool last = &choice == &all.back();
    settle(choice);
    const runtime::ProgramOptions program = program_options();
    const Placing what = placing(program);
    try {
      Placement placement = place(what, options, backends);
      if (last || placement.fits(what)) return placement;
    } catch (const Error& error) {
      if (last || error.kind() != ErrorKind::unsupported) throw;
    }
  }
  MEDLAR_ASSERT(!"there is a last one");
  return {};
}

void Engine::Impl::lower(Backends& backends) {
  const bool open =
      options.gpu_layers == kFittingLayers || (options.device == Device::automatic && !options.gpu_layers);
  for (;;) {
    const Placement placement = choose_placement(backends);
    backend = placement.backend, parts = placement.parts;
    const std::vector<runtime::DeviceMemory> rooms = backend->memories();
    try {
      program = backend->lower(model.graph, program_options());
      charge(rooms);
      return;
    } catch (const Error& error) {
      const auto layers = static_cast<int>(placement.gpu_layers());
      if (error.kind() != ErrorKind::out_of_memory || !open || layers == 0) throw;
      // Others took of the memory that there was. An eighth fewer are tried then, at last none.
      charges.reset(), program.reset();
      options.gpu_layers = layers - (layers + 7) / 8;
    }
  }
}

// Values may be a part of the keys' rows.
DType Engine::Impl::k_type() const {
  return kv_type(options, options.k_type, std::gcd(model.config.head_dim, model.config.v_dim));
}
DType Engine::Impl::v_type() const { return kv_type(options, options.v_type, model.config.v_dim); }

runtime::ProgramOptions Engine::Impl::program_options() const {
  return {.max_tokens = options.batch,
          .max_logit_rows = std::max(score_rows, options.sequences),
          .max_sequences = options.sequences,
          .k_type = k_type(),
          .v_type = v_type(),
          .kv_pages = kv_pages(),
          .fuse = options.fuse,
          .exact = options.exact,
          .batch_invariant = options.batch_invariant,
          .kernel_cache = options.kernel_cache,
          .best = true};
}

// A program has only reserved its memory so far.
void Engine::Impl::charge(const std::vector<runtime::DeviceMemory>& rooms) {
  if (!options.ledger) options.ledger = Ledger::make();
  if (!options.device_ledgers) options.device_ledgers = std::make_shared<DeviceLedgers>();
  for (const runtime::DeviceMemory& room : rooms)
    if (room.apart) {
      Ledger& place = ledgers().of(room);
      place.set_ceiling(place.snapshot().total().held + static_cast<std::uint64_t>(room.available));
    }
  charges.emplace(ledgers(), *program,
                  ProgramCharges::Shape{.memories = rooms,
                                        .groups = static_cast<int>(model.graph.group_windows().size())});
  auto made = file.memory_bytes() + static_cast<std::uint64_t>(models::tokenizer_bytes(file.metadata()));
  for (const gguf::File& adapter : adapters) made += adapter.memory_bytes();
  tables = options.ledger->charge(MemoryUse::tables, made);
  tables.set_used(made);
}

void Engine::Impl::need_head() const {
  if (!model.encoder) return;
  throw Error(ErrorKind::unsupported, fmt::format("{} embeds texts and writes none", file.name()),
              "ask it for embeddings, or choose another model");
}

void Engine::Impl::claim() {
  if (open.exchange(true))
    throw Error(ErrorKind::limit, "this engine already has an open session",
                "close it first, or load the model again");
}

PageTreeOptions Engine::Impl::page_tree_options() {
  return Timeline::tree_options(model.graph, *program, kv_pages(), {options.sequences, context});
}

std::array<std::int32_t, kMaxKvGroups> Engine::Impl::kv_pages() const {
  if (options.sequences == 1 && options.cache == 0)
    return Timeline::pages(model.graph, context, options.batch);
  return kv_pages(options.sequences, options.cache > 0 ? options.cache : context);
}

std::array<std::int32_t, kMaxKvGroups> Engine::Impl::kv_pages(std::int64_t sequences,
                                                              std::int64_t tokens) const {
  std::array<std::int32_t, kMaxKvGroups> pages{};
  // A partly used page of each sequence.
  const auto n = static_cast<std::int32_t>(sequences);
  const std::int32_t all = kv_pages_needed(tokens, 0, options.batch) + n;
  const auto windows = model.graph.group_windows();
  for (std::size_t i = 0; i < windows.size(); ++i)
    if (windows[i] != kernels::kRecurrent)
      pages[i] = std::min(all, n * kv_pages_needed(context, windows[i], options.batch));
  for (std::size_t i = 0; i < windows.size(); ++i)
    if (windows[i] == kernels::kRecurrent)
      pages[i] = state_pages_needed(n, Timeline::kept_states(model.graph, pages));
  return pages;
}

// The files; the cache's types and the kernels, whose rounding differs.
std::string Engine::Impl::identity() const {
  std::string text =
      fmt::format("{} {} {} {} {} {}", static_cast<int>(k_type()), static_cast<int>(v_type()), options.exact,
                  options.batch_invariant, backend->name(), program->calls().size());
  for (const runtime::CallInfo& call : program->calls()) text += call.kernel;
  append_identity(text, file);
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    text += fmt::format(" adapter {} ", adapted[i].scale);
    append_identity(text, adapters[i]);
  }
  return text;
}

void Engine::Impl::release_file() const {
  for (const MappedFile& part : file.parts()) part.advise(part.bytes(), Advice::dontneed);
}

void Engine::Impl::check_file() const {
  const auto check = [](const gguf::File& each) {
    each.check();
    if (each.changed())
      throw Error(ErrorKind::io, fmt::format("{} was overwritten while in use", each.name()),
                  "load the model again");
  };
  check(file);
  std::ranges::for_each(adapters, check);
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

std::shared_ptr<Engine> Engine::load(const std::filesystem::path& path, const EngineOptions& options) {
  auto impl = std::make_unique<Impl>(path);
  impl->load(options);
  return std::make_shared<Engine>(std::move(impl));
}

const ModelDescription& Engine::description() const { return impl_->description; }
const text::Tokenizer& Engine::tokenizer() const { return *impl_->tokenizer; }
std::shared_ptr<const grammar::Vocabulary> Engine::vocabulary() const {
  std::call_once(impl_->vocabulary_made,
                 [&] { impl_->vocabulary = std::make_shared<const grammar::Vocabulary>(*impl_->tokenizer); });
  return impl_->vocabulary;
}
const text::ChatTemplate* Engine::chat_template() const {
  return impl_->chat_template ? &*impl_->chat_template : nullptr;
}
std::int64_t Engine::context() const { return impl_->context; }
int Engine::batch() const { return impl_->options.batch; }
int Engine::score_rows() const { return impl_->score_rows; }
int Engine::threads() const { return impl_->threads; }
std::string_view Engine::device() const { return impl_->backend->name(); }
std::string_view Engine::placement() const {
  return impl_->program->parts().size() > 1 ? impl_->backend->name() : std::string_view();
}
double Engine::load_ms() const { return impl_->load_ms; }
DType Engine::k_type() const { return impl_->k_type(); }
DType Engine::v_type() const { return impl_->v_type(); }
const runtime::MemoryPlan& Engine::memory_plan() const { return impl_->program->memory(); }
const Ledger& Engine::ledger() const { return *impl_->options.ledger; }
std::vector<DeviceUse> Engine::device_uses() const {
  const std::vector<runtime::DeviceMemory> memories = impl_->backend->memories();
  std::vector<DeviceUse> uses;
  for (std::size_t i = 0; i < memories.size(); ++i)
    if (memories[i].apart)
      uses.push_back({impl_->parts[i].name, memories[i].number, impl_->ledgers().of(memories[i]).snapshot()});
  return uses;
}
std::vector<std::optional<runtime::DeviceLimits>> Engine::measure_limits() const {
  return impl_->backend->measure_limits(impl_->options.kernel_cache);
}
std::span<const AdapterOptions> Engine::adapters() const { return impl_->adapted; }
void Engine::rest() {
  impl_->program->rest();
  impl_->release_file();
  impl_->charges->rest();
}
std::vector<runtime::CallInfo> Engine::calls() const { return impl_->program->calls(); }
void Engine::observe(runtime::StepObserver observer) const { impl_->program->observe(std::move(observer)); }
void Engine::observe_products(runtime::ProductObserver observer) const {
  impl_->program->observe_products(std::move(observer));
}

}  // namespace medlar
