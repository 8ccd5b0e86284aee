// A Mac for tests to drive: what its kernel and daemons say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace medlar::host::apple_stub {

// All calls of the stub and of the tests come from one thread.
struct Machine {
  int pressure_level = 1;  // kern.memorystatus_vm_pressure_level: 1, 2 or 4
  bool mains = true;
  std::optional<int> charge;  // of 100
  bool fails = false;         // nothing can be registered or created
  int alive = 0;              // objects that were created and not released yet
  int assertions = 0;         // against sleep, that are held
};
Machine& machine();

// libdispatch tells the pressure, in its masks.
void tell_pressure(unsigned long mask);
// Somebody posts a name of notify(3) with that state.
void post(const std::string& name, std::uint64_t state);

}  // namespace medlar::host::apple_stub
