#include "cli/speed_record.h"

#include <exception>

#include "base/host.h"
#include "cli/models.h"
#include "host/calibration.h"

namespace medlar::cli {

void record_speed(const MeasuredSpeed& measured) noexcept {
  try {
    const Device device = measured.options.device;
    if (measured.options.exact || (device != Device::automatic && device != Device::cpu)) return;
    const std::filesystem::path folder = open_store().options().root;
    const HostInfo host = probe();
    const int threads = measured.options.threads > 0 ? measured.options.threads : host.default_threads();
    const std::string machine = host::machine_identity(host, threads);
    const auto calibration = host::load_calibration(folder, machine);
    if (!calibration) return;
    const ModelPlan plan = Planner(measured.path).plan(measured.options);
    if (plan.options.device != Device::cpu)
      return;  // what automatic came to: a GPU's speed is not the processor's
    const host::Prediction predicted =
        host::predict(plan.work, host::rates_of(*calibration), measured.workload);
    host::log_speed(folder, {.machine = machine,
                             .model = measured.model,
                             .of = measured.of,
                             .predicted = measured.of == host::SpeedOf::prompt ? predicted.prompt_tps
                                                                               : predicted.decode_tps,
                             .measured = measured.tokens_per_second});
  } catch (const std::exception&) {
    return;
  }
}

}  // namespace medlar::cli
