#include "server/service.h"

#include <algorithm>
#include <cctype>

#include "server/api_error.h"
#include "server/chat.h"

namespace medlar::server {
namespace {

// "Name:latest" is how Ollama's clients say "name".
std::string comparable(std::string_view name) {
  constexpr std::string_view kLatest = ":latest";
  if (name.ends_with(kLatest)) name.remove_suffix(kLatest.size());
  std::string result(name);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

}  // namespace

Model::Model() = default;
Model::~Model() = default;

void Service::ready(std::unique_ptr<Model> model) {
  model->chat = std::make_unique<Chat>(*model->engine);
  owned_ = std::move(model);
  model_ = owned_.get();
}

Model& Service::model() const {
  if (Model* model = model_) return *model;
  throw ApiError(503, "the model is still being loaded",
                 {.code = "unavailable_error", .hint = "GET /health says when it is ready"});
}

Model& Service::model(std::string_view name) const {
  Model& present = model();
  const auto same = [&](const std::string& own) { return comparable(own) == comparable(name); };
  if (name.empty() || std::ranges::any_of(present.names, same)) return present;
  throw ApiError(404, fmt::format("model \"{}\" not found", printable(name, 128)),
                 {.param = "model",
                  .code = "model_not_found",
                  .hint = fmt::format("this server serves \"{}\"", present.name())});
}

void Service::close() {
  model_ = nullptr;
  owned_.reset();
}

}  // namespace medlar::server
