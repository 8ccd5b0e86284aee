#include "host/signals.h"

#include <utility>

#include <fmt/format.h>
#include <poll.h>

#include "host/signals_apple.h"

namespace medlar::host {
namespace {

class Polled : public Source {
 public:
  Polled(std::string name, Time first, std::function<Duration(Time, std::vector<Signal>&)> read)
      : name_(std::move(name)), due_(first), read_(std::move(read)) {}

  std::string_view name() const override { return name_; }
  std::optional<Time> due() const override { return due_; }
  std::vector<Signal> read(Time now, short) override {
    std::vector<Signal> signals;
    if (now < due_) return signals;
    due_ = now + read_(now, signals);
    return signals;
  }

 private:
  std::string name_;
  Time due_;
  std::function<Duration(Time, std::vector<Signal>&)> read_;
};

std::string describe_power(const PowerSignal& power) {
  std::string text = power.mains ? "power mains" : "power battery";
  if (power.charge) text += fmt::format(", {:.0f}%", *power.charge * 100);
  if (power.low_power) text += ", low power mode";
  return text;
}

}  // namespace

std::string_view name(MemoryPressure pressure) {
  switch (pressure) {
    case MemoryPressure::normal:
      return "normal";
    case MemoryPressure::warning:
      return "warning";
    case MemoryPressure::critical:
      return "critical";
  }
  return "";
}

std::string_view name(ThermalState state) {
  switch (state) {
    case ThermalState::nominal:
      return "nominal";
    case ThermalState::fair:
      return "fair";
    case ThermalState::serious:
      return "serious";
    case ThermalState::critical:
      return "critical";
  }
  return "";
}

std::string describe(const Signal& signal) {
  if (const auto* memory = std::get_if<MemorySignal>(&signal)) {
    std::string text = fmt::format("memory {}", name(memory->pressure));
    if (memory->free_share) text += fmt::format(", {:.0f}% free", *memory->free_share * 100);
    return text;
  }
  if (const auto* thermal = std::get_if<ThermalSignal>(&signal)) {
    std::string text = fmt::format("heat {}", name(thermal->state));
    if (thermal->celsius) text += fmt::format(", {:.0f} C", *thermal->celsius);
    return text;
  }
  return describe_power(std::get<PowerSignal>(signal));
}

short Source::poll_events() const { return POLLIN; }

std::unique_ptr<Source> make_polled(std::string name, Time first,
                                    std::function<Duration(Time, std::vector<Signal>&)> read) {
  return std::make_unique<Polled>(std::move(name), first, std::move(read));
}

Sources system_sources(const SourceOptions& options) {
#if defined(__APPLE__)
  return apple_sources(options);
#else
  return linux_sources(options);
#endif
}

}  // namespace medlar::host
