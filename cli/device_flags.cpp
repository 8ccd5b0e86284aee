#include "cli/device_flags.h"

#include <charconv>
#include <system_error>

#include <fmt/format.h>

#include "base/error.h"

namespace medlar::cli {

void DeviceFlags::add_to(CLI::App& command) {
  const std::string group = "Model and machine";
  command.add_option("--device", device, "Where to run")
      ->type_name("auto|cpu|cuda|metal|emulator")
      ->group(group);
  command
      .add_option(
          "--gpu-layers", gpu_layers,
          "Layers that run on the GPU, the last ones of the model (also -ngl), the others on the CPU; "
          "auto: all, or as many as there is room for")
      ->type_name("auto|N")
      ->group(group);
  command.add_option("--gpus", gpus, "GPUs to spread the layers over; 0: as few as hold them")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber.description(""))
      ->group(group);
}

void DeviceFlags::apply(EngineOptions& options) const {
  options.device = parse_device(device);
  options.gpus = gpus;
  if (gpu_layers == "auto") return;
  int layers = 0;
  const char* const last = gpu_layers.data() + gpu_layers.size();
  const auto [end, error] = std::from_chars(gpu_layers.data(), last, layers);
  if (error != std::errc{} || end != last || layers < 0)
    throw Error(ErrorKind::usage, fmt::format("--gpu-layers: \"{}\" is no number of layers", gpu_layers),
                "give a whole number from 0 on, or auto");
  options.gpu_layers = layers;
}

}  // namespace medlar::cli
