#include "huggingface/view.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <system_error>

#include "base/checked.h"
#include "base/error.h"
#include "base/log.h"
#include "checkpoint/json_file.h"
#include "formats/all.h"
#include "huggingface/tokenizer.h"

namespace medlar::huggingface {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMaxLayers = 1024, kMaxExperts = 4096;

Config read_config(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  Config config(read_json_file(path), printable(path.native()));
  if (config.has("text_config")) {  // of a model that also sees or hears
    const Config text = config.within("text_config");
    config.merge(text);
  }
  // MLX's own word for it is "quantization"; some of its folders say it twice.
  if (config.has("quantization_config") && !config.within("quantization").integer({"group_size"})) {
    const std::string method = config.within("quantization_config").text("quant_method").value_or("unknown");
    throw Error(
        ErrorKind::unsupported,
        fmt::format("{}: quantized by {}, which cannot be read yet", config.source(), printable(method, 64)),
        "take the model's unquantized folder, or a GGUF file of it");
  }
  return config;
}

// What Gemma 3's published files leave out.
void set_defaults(Config& config, const Family& family) {
  if (family.architecture != "gemma3") return;
  config.set_default("max_position_embeddings", 131072);
  config.set_default("num_attention_heads", 8);
  config.set_default("num_key_value_heads", 4);
  config.set_default("head_dim", 256);
  config.set_default("rms_norm_eps", 1e-6);
  config.set_default("rope_theta", 1e6);
}

std::string source_of(const View& view, const safetensors::Tensor& tensor) {
  return fmt::format("{}: tensor {}", printable(view.folder.native()), tensor.name);
}

// The tensor as GGUF's, without what several experts have in common.
Recipe make_recipe(const View& view, const Config& config, const Renaming& renaming, const ParsedName& name,
                   const safetensors::Tensor& tensor) {
  Recipe recipe;
  const std::string layer = name.layer < 0 ? "" : fmt::format("blk.{}.", name.layer);
  recipe.name = fmt::format("{}{}.{}", layer, renaming.gguf, name.kind);
  std::vector<std::int64_t> shape = tensor.shape;
  recipe.packed = find_packed(view.files, tensor, config);
  if (recipe.packed) shape.back() = recipe.packed->columns;
  if (shape.empty() || shape.size() > 3 ||
      std::ranges::any_of(shape, [](std::int64_t extent) { return extent < 1; }))
    fail(ErrorKind::bad_file, "{}: its shape is none of a weight", source_of(view, tensor));
  recipe.pieces.push_back({.tensor = &tensor});
  if (renaming.rows == Rows::first_half || renaming.rows == Rows::second_half) {
    std::int64_t& rows = shape[shape.size() - 2];
    if (shape.size() < 2 || rows % 2 != 0)
      fail(ErrorKind::bad_file, "{}: its rows are no two halves", source_of(view, tensor));
    rows /= 2;
    const std::int64_t matrices = shape.size() == 3 ? shape[0] : 1;
    recipe.pieces.clear();
    for (std::int64_t i = 0; i < matrices; ++i)
      recipe.pieces.push_back(
          {.tensor = &tensor, .first = rows * (2 * i + (renaming.rows == Rows::second_half ? 1 : 0))});
  }
  recipe.shape = Shape(shape);
  const bool query = renaming.rows == Rows::query_heads, key = renaming.rows == Rows::key_heads;
  if (view.family->rotary_neighbours && (query || key)) {
    recipe.heads = query ? config.need_integer({"num_attention_heads"})
                         : config.need_integer({"num_key_value_heads", "num_attention_heads"});
    if (recipe.heads < 1 || recipe.shape[0] % (2 * recipe.heads) != 0)
      fail(ErrorKind::bad_file, "{}: its {} rows are not those of {} heads", source_of(view, tensor),
           recipe.shape[0], recipe.heads);
  }
  if (view.family->norms_from_one && renaming.gguf.find("norm") != renaming.gguf.npos) recipe.addend = 1;
  return recipe;
}

// The experts of a stack, by number.
using Stacks = std::map<std::string, std::map<std::int64_t, Recipe>>;

void stack(const View& view, Stacks& stacks, std::vector<Recipe>& tensors) {
  for (auto& [name, experts] : stacks) {
    Recipe all = experts.begin()->second;
    const Shape each = all.shape;
    const std::int64_t count = std::ssize(experts);
    if (experts.rbegin()->first != count - 1 || each.rank() != 2)
      fail(ErrorKind::bad_file, "{}: {} has experts up to {}, but {} matrices",
           printable(view.folder.native()), name, experts.rbegin()->first, count);
    if (all.packed)
      fail(ErrorKind::unsupported, "{}: quantized experts in tensors of their own cannot be read yet",
           source_of(view, *all.pieces.front().tensor));
    all.pieces.clear();
    for (const auto& [number, expert] : experts) {
      const safetensors::Tensor& tensor = *expert.pieces.front().tensor;
      if (expert.shape != each || tensor.type != experts.begin()->second.pieces.front().tensor->type)
        fail(ErrorKind::bad_file, "{}: shape or type is not that of the other experts",
             source_of(view, tensor));
      all.pieces.push_back(expert.pieces.front());
    }
    all.shape = {count, each[0], each[1]};
    tensors.push_back(std::move(all));
  }
}

void add_tensors(View& view, const Config& config) {
  Stacks stacks;
  for (const safetensors::Tensor& tensor : view.files.tensors()) {
    const std::optional<ParsedName> name = parse_name(tensor.name);
    if (!name || belongs_to_packed(view.files, tensor) || (view.family->tied && name->module == "lm_head"))
      continue;
    if (name->layer >= kMaxLayers || name->expert >= kMaxExperts)
      fail(ErrorKind::bad_file, "{}: the number in it is too large", source_of(view, tensor));
    const std::vector<Renaming> wanted = renamings(*name, view.family->names);
    if (wanted.empty())
      throw Error(
          ErrorKind::unsupported,
          fmt::format("{} has no place in a {} model", source_of(view, tensor), view.family->architecture),
          "the folder may hold an adapter, or a newer kind of model");
    if (!safetensors::weight_format(tensor.type) && !find_packed(view.files, tensor, config))
      fail(ErrorKind::unsupported, "{}: {} is no type of weights; F32, F16 and BF16 are",
           source_of(view, tensor), type_name(tensor.type));
    for (const Renaming& renaming : wanted) {
      Recipe recipe = make_recipe(view, config, renaming, *name, tensor);
      if (name->expert >= 0) {
        const std::string key = recipe.name;
        stacks[key].emplace(name->expert, std::move(recipe));
      } else {
        view.tensors.push_back(std::move(recipe));
      }
    }
  }
  stack(view, stacks, view.tensors);
}

// Of a vocabulary that is larger than the tokenizer's the last rows are for nobody; a smaller one cannot be.
void check_names(View& view) {
  std::ranges::sort(view.tensors, {}, &Recipe::name);
  const auto twin = std::ranges::adjacent_find(view.tensors, {}, &Recipe::name);
  if (twin != view.tensors.end())
    fail(ErrorKind::bad_file, "{}: two tensors are {}", printable(view.folder.native()), twin->name);
}

// "135M", "1.5B": as files are named.
std::string size_label(std::int64_t parameters) {
  struct Unit {
    double size;
    char letter;
  };
  constexpr Unit kUnits[] = {{1e12, 'T'}, {1e9, 'B'}, {1e6, 'M'}, {1e3, 'K'}};
  const auto n = static_cast<double>(parameters);
  const Unit& unit =
      *std::ranges::find_if(kUnits, [&](const Unit& u) { return n > u.size || u.letter == 'K'; });
  const double scaled = n / unit.size;
  const int digits = std::nearbyint(scaled) >= 10 ? 0 : std::nearbyint(scaled) >= 1 ? 1 : 2;
  return fmt::format("{:.{}f}{}", scaled, digits, unit.letter);
}

// "qwen3-8b-base" as a title: "Qwen3 8b Base". Words that have capitals or begin with a digit stay as they
// are.
std::string title(std::string_view name) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  std::string out;
  while (!name.empty()) {
    const std::size_t end = std::min(name.find_first_of("- "), name.size());
    std::string word(name.substr(0, end));
    name.remove_prefix(std::min(end + 1, name.size()));
    if (word.empty()) continue;
    const bool has_capitals = std::ranges::any_of(word, [](char c) { return c >= 'A' && c <= 'Z'; });
    const bool is_number = (word[0] >= '0' && word[0] <= '9') ||
                           (word.size() > 1 && word[0] == 'v' && word[1] >= '0' && word[1] <= '9');
    for (std::size_t i = 0; i < word.size() && !has_capitals && !is_number; ++i)
      if (is_letter(word[i]) && (i == 0 || !is_letter(word[i - 1])))
        word[i] = static_cast<char>(word[i] - 32);
    out += (out.empty() ? "" : " ") + word;
  }
  return out.empty() ? "model" : out;
}

void add_general_keys(View& view) {
  constexpr std::uint32_t kQuantizationVersion = 2;  // of GGUF's block formats
  view.values.set("general.architecture", view.family->architecture);
  view.values.set("general.type", std::string_view("model"));
  std::error_code ignored;
  const fs::path whole = fs::weakly_canonical(view.folder, ignored);
  const fs::path name = (whole.empty() ? view.folder : whole).filename();
  view.values.set("general.name", title(printable(name.native())));
  std::int64_t parameters = 0, experts = 0;
  for (const Recipe& t : view.tensors) {
    const bool stacked = t.name.find("_exps.") != t.name.npos;
    if (stacked) experts = t.shape[0];
    parameters += stacked ? t.shape.elements() / t.shape[0] : t.shape.elements();
  }
  const std::string label = size_label(parameters);
  view.values.set("general.size_label", experts > 0 ? fmt::format("{}x{}", experts, label) : label);
  view.values.set("general.quantization_version", kQuantizationVersion);
}

}  // namespace

DType View::type() const {
  std::map<DType, std::int64_t> elements;
  for (const Recipe& t : tensors)
    if (!t.stays_f32()) elements[t.type()] += t.shape.elements();
  const auto most = std::ranges::max_element(elements, {}, [](const auto& e) { return e.second; });
  return most == elements.end() ? DType::f32 : most->first;
}

View read_view(const fs::path& folder) {
  View view{.folder = folder};
  Config config = read_config(folder);
  view.family = &find_family(config);
  set_defaults(config, *view.family);
  view.files = safetensors::Files::open(folder);
  add_tensors(view, config);
  Keys keys(view.values, view.family->architecture);
  const std::vector<Made> made = rope_tensors(config, keys);
  for (const Made& tensor : made) {
    Recipe recipe{.name = tensor.name, .shape = {std::ssize(tensor.values)}};
    recipe.made = tensor.values;
    view.tensors.push_back(std::move(recipe));
  }
  check_names(view);
  add_general_keys(view);
  set_common_keys(config, *view.family, keys);
  const auto table = std::ranges::find(view.tensors, "token_embd.weight", &Recipe::name);
  if (table == view.tensors.end())
    fail(ErrorKind::bad_file, "{}: there is no tensor of embeddings", printable(folder.native()));
  add_tokenizer(folder, config, table->shape[0], view.values);
  return view;
}

}  // namespace medlar::huggingface
