#include "cli/engine_options.h"

#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "base/error.h"
#include "formats/all.h"

namespace medlar::cli {
std::optional<DType> kv_type(std::string_view option, const std::string& name) {
  if (name.empty()) return std::nullopt;
  switch (const auto type = parse_dtype(name); type.value_or(DType::i64)) {
    case DType::f32:
    case DType::f16:
    case DType::bf16:
    case DType::q8_0:
    case DType::q4_0:
      return type;
    default:
      throw Error(ErrorKind::usage, fmt::format("{}: the KV cache cannot be \"{}\"", option, name),
                  "choose f32, f16, bf16, q8_0 or q4_0");
  }
}

void EngineFlags::add_to(CLI::App& command) {
  const std::string group = "Model and machine";
  const std::string types = "f32|f16|bf16|q8_0|q4_0";
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
  command.add_option("--kv-k", kv_k, "Type of the cached keys (also -ctk); q8_0 if not given")
      ->type_name(types)
      ->group(group);
  command.add_option("--kv-v", kv_v, "Type of the cached values (also -ctv); q8_0 if not given")
      ->type_name(types)
      ->group(group);
  command.add_option("--device", device, "Where to run")->type_name("auto|cpu|emulator")->group(group);
  command.add_flag("--exact", exact, "Activations and KV cache in f32: slower, for comparing")->group(group);
}

EngineOptions EngineFlags::options() const {
  return {.context = context,
          .k_type = kv_type("--kv-k", kv_k),
          .v_type = kv_type("--kv-v", kv_v),
          .threads = threads,
          .device = parse_device(device),
          .exact = exact};
}

}  // namespace medlar::cli
