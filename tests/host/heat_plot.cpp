// Draws docs/governor-heat.svg: a simulated machine with and without the loop of heat.
#include <fstream>
#include <iostream>

#include "host/pacing.h"
#include "tests/host/thermal_plant.h"
#include "tune/plot.h"

namespace {

using namespace medlar;

constexpr int kSeconds = 1800, kEvery = 15;

struct Curves {
  tune::PlotPanel speed{.unit = "% of full", .points = {}};
  tune::PlotPanel heat{.unit = "degrees C", .points = {}, .from_zero = false};
};

Curves run(const std::string& who, bool controlled) {
  host::ThermalPlant plant(host::PlantOptions{});
  host::Pacing pacing;
  Curves curves;
  curves.speed.title = who + ": speed";
  curves.heat.title = who + ": temperature";
  double tokens = 0;
  for (int t = 0; t < kSeconds; ++t) {
    pacing.take(plant.signal());
    if (controlled) pacing.advance(host::Time{} + std::chrono::seconds(t));
    tokens += plant.run(pacing.pace(), 1).tokens;
    if (t % kEvery != kEvery - 1) continue;
    curves.speed.points.push_back({static_cast<double>(t), 100 * tokens / kEvery});
    curves.heat.points.push_back({static_cast<double>(t), plant.celsius()});
    tokens = 0;
  }
  return curves;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: heat_plot FILE.svg\n";
    return 2;
  }
  tune::Plot plot{
      .title = "A machine that throttles at 95 degrees",
      .subtitle = "simulated; an answer that takes half an hour, and a controlled pace that knows no speed",
      .seconds = kSeconds,
      .panels = {}};
  for (const Curves& curves : {run("Sprint", false), run("Controlled", true)}) {
    plot.panels.push_back(curves.speed);
    plot.panels.push_back(curves.heat);
  }
  std::ofstream(argv[1]) << tune::svg(plot);
  return 0;
}
