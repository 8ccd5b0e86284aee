#include "cli/engine_options.h"

#include <cmath>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "formats/all.h"
#include "store/layout.h"

namespace medlar::cli {
namespace {

std::string kv_type_names(std::string_view separator) {
  std::vector<std::string_view> names;
  for (const formats::FormatInfo& info : formats::all_infos()) {
    if (info.is_kv()) names.push_back(info.name);
  }
  return fmt::format("{}", fmt::join(names, separator));
}

// What follows the last "=" is the scale where it is a number; else it belongs to the name.
AdapterOptions adapter_options(const std::string& text) {
  AdapterOptions adapter{.path = text};
  const std::size_t equal = text.rfind('=');
  if (equal == text.npos) return adapter;
  char* stop = nullptr;
  const float scale = std::strtof(text.c_str() + equal + 1, &stop);
  if (stop == text.c_str() + equal + 1 || *stop != '\0') return adapter;
  if (!std::isfinite(scale))
    throw Error(ErrorKind::usage, fmt::format("--lora: {} is no scale", text.substr(equal + 1)),
                "1 is all of it");
  return {.path = text.substr(0, equal), .scale = scale};
}

}  // namespace

std::optional<DType> kv_type(std::string_view option, const std::string& name) {
  if (name.empty()) return std::nullopt;
  const auto type = parse_dtype(name);
  if (type && format_info(*type).is_kv()) return type;
  throw Error(ErrorKind::usage, fmt::format("{}: the KV cache cannot be \"{}\"", option, name),
              "choose one of " + kv_type_names(", "));
}

void EngineFlags::add_to(CLI::App& command) {
  const std::string group = "Model and machine";
  const std::string types = kv_type_names("|");
  command
      .add_option("-c,--ctx", context,
                  "Tokens the context holds; 0: what the model was trained for, at most 32768")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber.description(""))
      ->group(group);
  command.add_option("-t,--threads", threads, "Threads; 0: one for each performance core")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber.description(""))
      ->group(group);
  command
      .add_option("-b,--batch-size", batch,
                  "Tokens of a prompt read at once; if not given 512, or 2048 on NVIDIA Hopper")
      ->type_name("N")
      ->check(CLI::Range(1, 1 << 20).description(""))
      ->group(group);
  command.add_option("--kv-type", kv_type, "Type of the cached keys and values; q8_0 if not given")
      ->type_name(types)
      ->group(group);
  command.add_option("--kv-k", kv_k, "Type of the cached keys alone (also -ctk)")
      ->type_name(types)
      ->group(group);
  command.add_option("--kv-v", kv_v, "Type of the cached values alone (also -ctv)")
      ->type_name(types)
      ->group(group);
  device.add_to(command);
  command
      .add_option(
          "--lora", lora,
          "A LoRA adapter, GGUF or a folder as PEFT saves it, and how much of it counts; 1 if not given. "
          "May be given several times")
      ->type_name("FILE[=SCALE]")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false)
      ->group(group);
  command.add_flag("--exact", exact, "Activations and KV cache in f32: slower, for comparing")->group(group);
}

std::filesystem::path kernel_cache() {
  try {
    return store::default_root() / "cache" / "kernels";
  } catch (const Error&) {
    return {};
  }
}

EngineOptions EngineFlags::options() const {
  EngineOptions o{.context = context,
                  .k_type = kv_k.empty() ? cli::kv_type("--kv-type", kv_type) : cli::kv_type("--kv-k", kv_k),
                  .v_type = kv_v.empty() ? cli::kv_type("--kv-type", kv_type) : cli::kv_type("--kv-v", kv_v),
                  .threads = threads,
                  .batch = batch,
                  .exact = exact,
                  .kernel_cache = kernel_cache()};
  device.apply(o);
  for (const std::string& adapter : lora) o.adapters.push_back(adapter_options(adapter));
  return o;
}

OpenSettings EngineFlags::open() const {
  return {.threads = threads == 0,
          .batch = batch == 0,
          .kv_type = kv_type.empty() && kv_k.empty() && kv_v.empty() && !exact,
          .gpu_layers = device.is_open()};
}

}  // namespace medlar::cli
