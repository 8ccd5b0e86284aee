#include "host/machine.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <set>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/log.h"

namespace medlar::host {
namespace {

constexpr std::uint64_t kMegabyte = 1'000'000, kGibibyte = std::uint64_t{1} << 30;
constexpr std::uint64_t kUnlimited = std::uint64_t{1} << 62;
constexpr std::string_view kExample = "write it like \"MacBook Air M2 16GB\" or \"M1 Max 32-core 64GB\"";

// What was read of a machine's description.
struct Description {
  int family = 0;
  std::optional<ChipVariant> variant;
  int gpu_cores = 0, cpu_cores = 0, other_cores = 0;  // `other`: of what they are is not said
  int memory = 0;                                     // GB
};

// Lower-case words of letters, and numbers, in order: "M2-Ultra 76-core" gives m 2 ultra 76 core.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  bool open = false, digits = false;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (!std::isalnum(u)) {
      open = false;
      continue;
    }
    const bool digit = std::isdigit(u) != 0;
    if (!open || digit != digits) words.emplace_back();
    words.back() += static_cast<char>(std::tolower(u));
    open = true, digits = digit;
  }
  return words;
}

std::optional<int> number(const std::string& word) {
  int value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return value;
}

std::optional<ChipVariant> variant_of(std::string_view word) {
  if (word == "pro") return ChipVariant::pro;
  if (word == "max") return ChipVariant::max;
  if (word == "ultra") return ChipVariant::ultra;
  return std::nullopt;
}

// Words that stand around a chip's name and say nothing that the chip does not.
bool is_product_word(std::string_view word) {
  static constexpr std::array<std::string_view, 26> kWords = {
      "apple", "mac",  "macbook", "air",     "pro",    "mini", "studio", "imac",    "ipad",
      "chip",  "with", "and",     "a",       "memory", "ram",  "of",     "unified", "inch",
      "in",    "gpu",  "cpu",     "silicon", "mbp",    "mba",  "late",   "early"};
  return std::ranges::find(kWords, word) != kWords.end();
}

[[noreturn]] void refuse(std::string_view text, const std::string& why, std::string_view hint = kExample) {
  throw Error(ErrorKind::usage, fmt::format("--machine \"{}\": {}", printable(text), why), std::string(hint));
}

Description describe(std::string_view text) {
  Description d;
  const std::vector<std::string> words = words_of(text);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const auto next = [&](std::size_t n) { return i + n < words.size() ? words[i + n] : std::string(); };
    if (word == "m" && number(next(1))) {
      d.family = *number(next(1));
      d.variant = variant_of(next(2));
      i += d.variant ? 2 : 1;
    } else if (const auto value = number(word)) {
      const std::string unit = next(1);
      if (unit == "gb" || unit == "gib" || unit == "g") {
        d.memory = *value, ++i;
      } else if (unit == "core" || unit == "cores" || unit == "c") {
        const std::string of = next(2);
        (of == "cpu" ? d.cpu_cores : of == "gpu" ? d.gpu_cores : d.other_cores) = *value;
        i += of == "cpu" || of == "gpu" ? 2 : 1;
      } else if (unit != "inch" && unit != "in" && (*value < 11 || *value > 16) && *value < 2000) {
        refuse(text, fmt::format("{} of what?", *value), "write 16GB for memory, 10-core for GPU cores");
      }
    } else if (!is_product_word(word)) {
      refuse(text, fmt::format("\"{}\" says nothing about a Mac", word));
    }
  }
  return d;
}

// The values of a field over some chips, "8, 16 or 24".
template <class Chips, class Field>
std::string choices(const Chips& chips, const Field& field) {
  std::set<int> values;
  for (const AppleChip& chip : chips) field(chip, values);
  std::string text;
  std::size_t left = values.size();
  for (const int value : values) {
    --left;
    text += fmt::format("{}{}", value, left == 0 ? "" : left == 1 ? " or " : ", ");
  }
  return text;
}

const auto kMemory = [](const AppleChip& chip, std::set<int>& to) {
  for (const int size : chip.memory_sizes)
    if (size > 0) to.insert(size);
};
const auto kGpuCores = [](const AppleChip& chip, std::set<int>& to) { to.insert(chip.gpu_cores); };

bool has_memory(const AppleChip& chip, int memory) {
  return std::ranges::find(chip.memory_sizes, memory) != chip.memory_sizes.end();
}

std::vector<AppleChip> chips_named(std::string_view text, const Description& d) {
  if (d.family == 0) refuse(text, "names no chip");
  std::vector<AppleChip> chips;
  std::set<int> families;
  std::vector<std::string> variants;
  for (const AppleChip& chip : apple_chips()) {
    families.insert(chip.family);
    if (chip.family != d.family) continue;
    std::string full =
        fmt::format("M{}{}{}", chip.family, chip.variant == ChipVariant::base ? "" : " ", name(chip.variant));
    if (std::ranges::find(variants, full) == variants.end()) variants.push_back(std::move(full));
    if (chip.variant == d.variant.value_or(ChipVariant::base)) chips.push_back(chip);
  }
  if (!families.contains(d.family))
    refuse(text, fmt::format("the catalogue has no M{}", d.family),
           fmt::format("it has M{} to M{}", *families.begin(), *families.rbegin()));
  if (chips.empty())
    refuse(text, fmt::format("the catalogue has no M{} {}", d.family, name(*d.variant)),
           fmt::format("it has {}", fmt::join(variants, ", ")));
  return chips;
}

std::string chip_name(const AppleChip& chip) {
  return fmt::format("M{}{}{}", chip.family, chip.variant == ChipVariant::base ? "" : " ",
                     name(chip.variant));
}

// The one of `chips` that is meant. Memory and cores can both be wrong, or wrong together.
AppleChip choose(std::string_view text, const Description& d, std::vector<AppleChip> chips) {
  const std::string chip = chip_name(chips.front());
  if (d.memory == 0)
    refuse(text, "says nothing about memory",
           fmt::format("an {} comes with {} GB", chip, choices(chips, kMemory)));
  const auto narrow = [&](const auto& fits, const std::string& why, const std::string& hint) {
    std::erase_if(chips, [&](const AppleChip& c) { return !fits(c); });
    if (chips.empty()) refuse(text, why, hint);
  };
  // "8-core" alone is the CPU's where no such GPU exists.
  const bool other_is_gpu =
      std::ranges::any_of(chips, [&](const AppleChip& c) { return c.gpu_cores == d.other_cores; });
  const int gpu = d.gpu_cores > 0 ? d.gpu_cores : other_is_gpu ? d.other_cores : 0;
  const int cpu = d.cpu_cores > 0 ? d.cpu_cores : other_is_gpu ? 0 : d.other_cores;
  if (gpu > 0)
    narrow([&](const AppleChip& c) { return c.gpu_cores == gpu; },
           fmt::format("no {} has {} GPU cores", chip, gpu),
           fmt::format("it has {}", choices(chips, kGpuCores)));
  if (cpu > 0)
    narrow([&](const AppleChip& c) { return c.performance_cores + c.efficiency_cores == cpu; },
           fmt::format("no such {} has {} cores", chip, cpu),
           fmt::format("its GPU has {} cores", choices(chips, kGpuCores)));
  narrow([&](const AppleChip& c) { return has_memory(c, d.memory); },
         fmt::format("no such {} comes with {} GB", chip, d.memory),
         fmt::format("it comes with {} GB", choices(chips, kMemory)));
  return *std::ranges::min_element(chips, {}, &AppleChip::gpu_cores);
}

}  // namespace

Machine parse_machine(std::string_view text) {
  const Description d = describe(text);
  const std::vector<AppleChip> named = chips_named(text, d);
  const AppleChip chip = choose(text, d, named);
  const std::uint64_t memory = static_cast<std::uint64_t>(d.memory) * kGibibyte;
  Machine machine{
      .name = fmt::format("Apple {}, {} GPU cores, {} GB", chip_name(chip), chip.gpu_cores, d.memory),
      .chip = chip,
      .threads = chip.performance_cores,
      .memory_bytes = memory,
      .limit_bytes = gpu_working_set(memory),
      .limit_reason = "what macOS lets its GPU hold"};
  const auto others =
      std::ranges::count_if(named, [&](const AppleChip& c) { return has_memory(c, d.memory); });
  if (others > 1 && d.gpu_cores == 0 && d.other_cores != chip.gpu_cores)
    machine.note = fmt::format("taken to have {} GPU cores, the fewest; say \"{}-core\" for more",
                               chip.gpu_cores, named.back().gpu_cores);
  return machine;
}

Machine machine_of(const HostInfo& host) {
  Machine machine{.name = host.cpu, .threads = host.default_threads(), .memory_bytes = host.memory_bytes};
  if (host.available_bytes == 0) {  // the system does not say
    machine.limit_bytes = host.memory_bytes > 0 ? gpu_working_set(host.memory_bytes) : kUnlimited;
    machine.limit_reason = "what a machine of its size can spare";
    return machine;
  }
  const std::uint64_t margin = std::clamp(host.available_bytes / 32, 32 * kMegabyte, 1000 * kMegabyte);
  machine.limit_bytes = host.available_bytes > margin ? host.available_bytes - margin : 0;
  machine.limit_reason = host.memory_limit > 0 && host.memory_limit < host.memory_bytes
                             ? "what this process may still take"
                             : "what the machine can spare now";
  return machine;
}

Machine this_machine() { return machine_of(probe()); }

}  // namespace medlar::host
