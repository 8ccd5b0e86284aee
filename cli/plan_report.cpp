#include "cli/plan_report.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/terminal.h"
#include "cli/units.h"
#include "formats/all.h"

namespace medlar::cli {
namespace {

std::string size(std::int64_t count) {
  return format_bytes(static_cast<std::uint64_t>(std::max<std::int64_t>(count, 0)));
}

boost::json::object to_json(const host::MemoryNeed& need) {
  return {{"weights_mapped", need.weights_mapped},
          {"weights_resident", need.weights_resident},
          {"kv", need.kv},
          {"state", need.state},
          {"activations", need.activations},
          {"scratch", need.scratch},
          {"draft", need.draft},
          {"cache", need.cache},
          {"overhead", need.overhead}};
}

// What the speed follows from; scripts/fit_speed.py reads it.
boost::json::object to_json(const ModelWork& work) {
  boost::json::array products, attention;
  for (const ModelWork::Products& p : work.products)
    products.push_back({{"type", format_info(p.type).name},
                        {"bytes", p.bytes},
                        {"flops", p.flops},
                        {"head_flops", p.head_flops}});
  for (const ModelWork::Attention& a : work.attention)
    attention.push_back({{"window", a.window}, {"kv_bytes", a.kv_bytes}, {"flops", a.flops}});
  return {{"layers", work.layers}, {"products", std::move(products)}, {"attention", std::move(attention)}};
}

boost::json::object to_json(const EngineOptions& options) {
  return {{"context", options.context},
          {"type_k", format_info(*options.k_type).name},
          {"type_v", format_info(*options.v_type).name},
          {"parallel", options.sequences},
          {"threads", options.threads},
          {"batch", options.batch}};
}

boost::json::object to_json(const host::Configuration& c) {
  boost::json::object object{
      {"flags", c.flags}, {"model", c.model}, {"change", c.change}, {"bytes", c.bytes}};
  object["settings"] = to_json(c.options);
  return object;
}

boost::json::object device_json(const PlanReport& r) {
  const host::MemoryNeed& need = r.need;
  std::int64_t needed =
      need.devices.empty() ? need.weights_resident + need.kv + need.state + need.activations : 0;
  std::int64_t available = 0;
  for (const host::MemoryNeed::OnDevice& device : need.devices)
    needed += device.needed, available += device.room.available;
  return {{"name", to_string(r.plan.options.device)},
          {"own_memory", need.apart > 0},
          {"needed", needed},
          {"available", available},
          {"gpus", r.plan.options.gpus},
          {"gpu_layers", *r.plan.options.gpu_layers}};
}

// Which layers are where, in their order.
boost::json::array placement_json(const PlanReport& r) {
  boost::json::array parts;
  for (const ModelPlan::Part& part : r.plan.parts)
    parts.push_back({{"device", to_string(part.device)},
                     {"number", part.room.number},
                     {"name", part.name},
                     {"layers", part.layers},
                     {"weights", part.memory.weights},
                     {"kv", part.memory.kv},
                     {"state", part.memory.state},
                     {"activations", part.memory.activations},
                     {"available", part.room.available}});
  return parts;
}

boost::json::value to_json(const std::optional<host::Prediction>& p) {
  if (!p) return nullptr;
  return {{"prompt_tps", p->prompt_tps}, {"decode_tps", p->decode_tps}, {"ttft_ms", p->ttft_ms}};
}

// A line; empty: none is predicted.
std::string speed_text(const PlanReport& r) {
  if (!r.prediction) return {};
  return fmt::format("{}: reads {} tokens at {}/s, first token after {:.2g} s, writes at {}/s\n",
                     r.fits() ? "speed" : "speed, if it did", r.workload.prompt,
                     format_rate(r.prediction->prompt_tps), r.prediction->ttft_ms / 1000,
                     format_rate(r.prediction->decode_tps));
}

struct Line {
  std::string what, amount, about;
};

std::string table(const std::vector<Line>& lines) {
  std::size_t what = 0, amount = 0;
  for (const Line& line : lines) {
    what = std::max(what, line.what.size());
    amount = std::max(amount, line.amount.size());
  }
  std::string text;
  for (const Line& line : lines) {
    std::string row = fmt::format("  {:<{}}  {:>{}}  {}", line.what, what, line.amount, amount, line.about);
    while (row.ends_with(' ')) row.pop_back();
    text += row + "\n";
  }
  return text;
}

std::vector<Line> memory_lines(const PlanReport& r) {
  const EngineOptions& o = r.plan.options;
  const std::string_view k = format_info(*o.k_type).name, v = format_info(*o.v_type).name;
  const std::string types = k == v ? std::string(k) : fmt::format("{} and {}", k, v);
  const std::string together = o.sequences > 1 ? fmt::format(", {} at once", o.sequences) : "";
  std::vector<Line> lines = {
      {"weights", size(r.need.weights_resident),
       fmt::format("read for every token, of {} mapped", size(r.need.weights_mapped))},
      {"KV cache", size(r.need.kv), fmt::format("{} tokens in {}{}", o.context, types, together)}};
  const auto add = [&](const char* what, std::int64_t bytes, const char* about) {
    if (bytes > 0) lines.push_back({what, size(bytes), about});
  };
  add("state", r.need.state, "of recurrent layers");
  add("activations", r.need.activations, "");
  add("scratch", r.need.scratch, "");
  add("draft model", r.need.draft, "all of it");
  add("cache", r.need.cache, "of prefixes");
  add("overhead", r.need.overhead, "the program, vocabulary, page tables");
  const bool apart = r.need.apart > 0;
  lines.push_back({"needed", size(r.need.total()), apart ? "in the machine's memory" : ""});
  lines.push_back({"there is", size(r.limit.bytes), r.limit.reason});
  const bool several = r.plan.parts.size() > 1;
  for (const host::MemoryNeed::OnDevice& d : r.need.devices) {
    std::string device = fmt::format("device {}", to_string(d.device));
    if (several) device += fmt::format(" {}", d.room.number);
    const std::string layers =
        several ? fmt::format(", with {} of {} layers", d.layers, r.plan.work.layers) : "";
    lines.push_back({"needed", size(d.needed), fmt::format("on {}{}", device, layers)});
    lines.push_back({"there is", size(d.room.available), fmt::format("what {} has for it", device)});
  }
  return lines;
}

std::string what_to_type(const PlanReport& r, const host::Configuration& c) {
  const std::string model = c.model.empty() ? r.model : c.model;
  return c.flags.empty() ? model : model + " " + c.flags;
}

}  // namespace

boost::json::object to_json(const PlanReport& r) {
  boost::json::array alternatives, notes;
  for (const host::Configuration& c : r.alternatives) alternatives.push_back(to_json(c));
  for (const std::string& note : r.notes) notes.emplace_back(note);
  return {{"model", r.model},
          {"machine", r.machine.name},
          {"notes", std::move(notes)},
          {"fits", r.fits()},
          {"limit_bytes", r.limit.bytes},
          {"total_bytes", r.need.total()},
          {"bytes", to_json(r.need)},
          {"device", device_json(r)},
          {"placement", placement_json(r)},
          {"settings", to_json(r.plan.options)},
          {"predict", to_json(r.prediction)},
          {"alternatives", std::move(alternatives)},
          {"work", to_json(r.plan.work)}};
}

std::string to_text(const PlanReport& r) {
  std::string text = visible(fmt::format("{} on {}\n", r.model, r.machine.name));
  for (const std::string& note : r.notes) text += visible(fmt::format("({})\n", note));
  text += fmt::format("\n{}\n", table(memory_lines(r)));
  const std::int64_t missing = std::max(r.need.total() - r.limit.bytes, r.need.fullest().second);
  text += r.fits() ? "fits: yes\n" : fmt::format("fits: no, {} too much\n", size(missing));
  text += speed_text(r);
  if (r.fits()) return text;
  if (r.alternatives.empty()) return text + "\nNothing like it fits.\n";
  std::vector<Line> lines;
  for (const host::Configuration& c : r.alternatives)
    lines.push_back({visible(what_to_type(r, c)), size(c.bytes), c.change});
  return text + "\nThese fit, the nearest first:\n" + table(lines);
}

}  // namespace medlar::cli
