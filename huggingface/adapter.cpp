#include "huggingface/adapter.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <system_error>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/json_file.h"
#include "checkpoint/safetensors.h"
#include "formats/all.h"
#include "huggingface/families.h"
#include "huggingface/recipe.h"

namespace medlar::huggingface {
namespace {

namespace fs = std::filesystem;

// What an adapter's metadata and tensors are views into, beside its file.
struct Memory {
  gguf::Values values;
  std::vector<safetensors::Tensor> published;
  std::vector<std::string> names;
  std::vector<std::vector<std::byte>> copies;
};

// Ways of PEFT's that are not A and B beside a product.
void refuse_variants(const Config& c) {
  const auto refuse = [&](std::string_view field) {
    fail(ErrorKind::unsupported, "{}: field {}: adapters of this kind cannot be read yet", c.source(), field);
  };
  if (c.text("peft_type").value_or("LORA") != "LORA") refuse("peft_type");
  for (const std::string_view field : {"use_dora", "use_qalora", "lora_bias"})
    if (c.flag(field).value_or(false)) refuse(field);
  for (const std::string_view field : {"alora_invocation_tokens", "arrow_config", "trainable_token_indices"})
    if (c.has(field)) refuse(field);
  if (c.text("bias").value_or("none") != "none") refuse("bias");
  if (!c.within("alpha_pattern").object().empty()) refuse("alpha_pattern");
  if (const auto modules = c.find("modules_to_save"); modules && !c.texts("modules_to_save").empty())
    refuse("modules_to_save");
}

// With rslora the product counts alpha / sqrt(rank) times.
double alpha_of(const Config& c) {
  const double alpha = c.need_real({"lora_alpha"});
  if (!c.flag("use_rslora").value_or(false)) return alpha;
  if (!c.within("rank_pattern").object().empty())
    fail(ErrorKind::unsupported, "{}: field rank_pattern: several ranks with rslora cannot be read yet",
         c.source());
  return alpha * std::sqrt(c.need_real({"r"}));
}

// The family of a GGUF file, of which several have the same names for what an adapter can have.
const Family& family_of(const gguf::File& base) {
  const auto architecture = base.metadata().get<std::string_view>("general.architecture");
  const auto all = families();
  const auto found = std::ranges::find(all, architecture, &Family::architecture);
  if (found == all.end())
    fail(ErrorKind::unsupported, "{}: adapters of {} models cannot be read from folders yet", base.name(),
         architecture);
  return *found;
}

class Reader {
 public:
  Reader(const gguf::File& base, Memory& memory) : base_(base), family_(family_of(base)), memory_(memory) {}

  gguf::Tensor read(const safetensors::Tensor& tensor, const std::string& source) {
    constexpr std::string_view kPrefix = "base_model.model.";
    std::string_view name = tensor.name;
    if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
    const bool is_a = name.ends_with(".lora_A.weight"), is_b = name.ends_with(".lora_B.weight");
    const std::string module(
        name.substr(0, name.size() - std::string_view(".lora_A.weight").size() * (is_a || is_b)));
    const auto parsed = parse_name(module + ".weight");
    const auto renamed = parsed ? renamings(*parsed, family_.names) : std::vector<Renaming>();
    if ((!is_a && !is_b) || renamed.size() != 1 || parsed->expert >= 0 || tensor.shape.size() != 2 ||
        !safetensors::weight_format(tensor.type) || tensor.bytes.empty())
      throw Error(ErrorKind::unsupported,
                  fmt::format("{}: tensor {} adapts nothing that can be adapted", source, tensor.name),
                  "products of attention and dense MLPs can be; the adapter may be for another model");
    const std::string layer = parsed->layer < 0 ? "" : fmt::format("blk.{}.", parsed->layer);
    memory_.names.push_back(fmt::format("{}{}.weight.lora_{}", layer, renamed[0].gguf, is_a ? 'a' : 'b'));
    Recipe recipe{
        .name = memory_.names.back(), .shape = Shape(tensor.shape), .pieces = {{.tensor = &tensor}}};
    if (is_b) recipe.heads = heads(renamed[0].rows);
    if (recipe.heads > 0 && recipe.shape[0] % (2 * recipe.heads) != 0)
      fail(ErrorKind::bad_file, "{}: tensor {} has {} rows, which are not those of {} heads", source,
           tensor.name, recipe.shape[0], recipe.heads);
    return {memory_.names.back(), {recipe.type(), recipe.shape, bytes(recipe)}};
  }

 private:
  // Whose rotary pairs `base` has side by side; 0: as published.
  std::int64_t heads(Rows rows) const {
    const std::string prefix(family_.architecture);
    const bool moved =
        family_.rotary_neighbours && !base_.metadata().get_or<bool>(prefix + ".rope.halves", false);
    if (!moved || (rows != Rows::query_heads && rows != Rows::key_heads)) return 0;
    const auto queries = base_.metadata().get<std::int64_t>(prefix + ".attention.head_count");
    const auto count = rows == Rows::query_heads ? queries
                                                 : base_.metadata().get_or<std::int64_t>(
                                                       prefix + ".attention.head_count_kv", queries);
    if (count < 1) fail(ErrorKind::bad_file, "{}: {} heads", base_.name(), count);
    return count;
  }

  std::span<const std::byte> bytes(const Recipe& recipe) {
    if (recipe.heads == 0) return *recipe.in_place();
    std::vector<std::byte>& copy = memory_.copies.emplace_back(
        static_cast<std::size_t>(row_bytes(recipe.type(), recipe.columns()) * recipe.rows()));
    recipe.copy(0, recipe.rows(), copy.data());
    return copy;
  }

  const gguf::File& base_;
  const Family& family_;
  Memory& memory_;
};

// A GGUF adapter's rows of q and k are in GGUF's order.
void check_order(const gguf::File& adapter, const gguf::File& base) {
  const auto architecture = base.metadata().get<std::string>("general.architecture");
  if (!base.metadata().get_or<bool>(architecture + ".rope.halves", false)) return;
  for (const gguf::Tensor& t : adapter.tensors())
    if (t.name.find("attn_q.weight.lora_b") != t.name.npos ||
        t.name.find("attn_k.weight.lora_b") != t.name.npos)
      throw Error(
          ErrorKind::unsupported,
          fmt::format("{}: tensor {} is for GGUF's order of rows, which {} has not", adapter.name(), t.name,
                      base.name()),
          fmt::format("medlar convert {} -o model.gguf, or take the adapter as PEFT saved it", base.name()));
}

}  // namespace

gguf::File open_adapter(const fs::path& path, const gguf::File& base) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    gguf::File file = gguf::File::open(path);
    check_order(file, base);
    return file;
  }
  const fs::path config_path = path / "adapter_config.json";
  const Config config(read_json_file(config_path), printable(config_path.native()));
  refuse_variants(config);
  auto memory = std::make_shared<Memory>();
  MappedFile file(path / "adapter_model.safetensors");
  memory->published = safetensors::parse(file.bytes(), file.path().native());
  memory->names.reserve(memory->published.size());
  Reader reader(base, *memory);
  std::vector<gguf::Tensor> tensors;
  for (const safetensors::Tensor& tensor : memory->published)
    tensors.push_back(reader.read(tensor, printable(file.path().native())));
  memory->values.set("general.type", std::string_view("adapter"));
  memory->values.set("adapter.type", std::string_view("lora"));
  memory->values.set("general.architecture", base.metadata().get<std::string_view>("general.architecture"));
  memory->values.set("adapter.lora.alpha", static_cast<float>(alpha_of(config)));
  std::uint64_t copied = memory->values.bytes();
  for (const auto& copy : memory->copies) copied += copy.size();
  std::vector<MappedFile> parts;
  parts.push_back(std::move(file));
  gguf::Metadata metadata(printable(path.native()), memory->values.entries());
  return gguf::File({.parts = std::move(parts),
                     .metadata = std::move(metadata),
                     .tensors = std::move(tensors),
                     .memory = memory,
                     .memory_bytes = copied});
}

}  // namespace medlar::huggingface
