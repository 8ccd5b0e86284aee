#include "cli/stats.h"

#include <fmt/format.h>

#include "base/process_memory.h"
#include "cli/terminal.h"
#include "cli/units.h"

namespace medlar::cli {

std::string stats_line(const Engine& engine, const Generation& generation) {
  const Usage& usage = generation.usage;
  const Timings& timings = generation.timings;
  const auto rate = [](double per_second) {
    return per_second > 0 ? fmt::format(" at {}/s", format_rate(per_second)) : "";
  };
  const std::string cached =
      usage.cached_tokens > 0 ? fmt::format(" ({} of them cached)", usage.cached_tokens) : "";
  std::string on_devices;
  for (const DeviceUse& device : engine.device_uses())
    on_devices += fmt::format(", {} of {}", format_bytes(device.books.total().held), device.name);
  return fmt::format("{} tokens read{}{}, {} written{}, first token after {:.2f} s, {} of memory{}",
                     usage.prompt_tokens, cached, rate(timings.prompt_tps), usage.completion_tokens,
                     rate(timings.decode_tps), timings.ttft_ms / 1000,
                     format_bytes(process_memory().resident), visible(on_devices));
}

boost::json::object stats_json(const Engine& engine, const Generation& generation) {
  const Usage& usage = generation.usage;
  const Timings& timings = generation.timings;
  const runtime::MemoryPlan& plan = engine.memory_plan();
  const ProcessMemory memory = process_memory();
  boost::json::object result{{"usage",
                              {{"prompt_tokens", usage.prompt_tokens},
                               {"cached_tokens", usage.cached_tokens},
                               {"completion_tokens", usage.completion_tokens}}},
                             {"timings",
                              {{"load_ms", engine.load_ms()},
                               {"ttft_ms", timings.ttft_ms},
                               {"prompt_ms", timings.prompt_ms},
                               {"decode_ms", timings.decode_ms},
                               {"prompt_tps", timings.prompt_tps},
                               {"decode_tps", timings.decode_tps}}},
                             {"memory",
                              {{"weights_mapped", plan.weights},
                               {"kv", plan.kv},
                               {"state", plan.state},
                               {"activations", plan.activations},
                               {"scratch", plan.scratch},
                               {"resident", memory.resident},
                               {"resident_anonymous", memory.anonymous},
                               {"resident_file", memory.file}}}};
  boost::json::array devices;
  for (const DeviceUse& device : engine.device_uses())
    devices.push_back({{"name", device.name},
                       {"number", device.number},
                       {"held", device.books.total().held},
                       {"ceiling", device.books.ceiling}});
  result["devices"] = std::move(devices);
  return result;
}

}  // namespace medlar::cli
