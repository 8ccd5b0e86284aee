// The objects of a Metal for tests, which runs kernels on the emulator.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kernels/gpu/emulator/kernels.h"
#include "tests/gpu/metal_runtime_stub/objc.h"

namespace medlar::metal_stub {

constexpr u64 kPage = 16384;  // of macOS on Apple silicon
constexpr u64 kNonVolatile = 2, kVolatile = 3;

struct Buffer : Object {
  std::byte* bytes = nullptr;
  u64 length = 0;
  bool own = false;  // not a view of the host's bytes
  u64 purgeable = kNonVolatile;
  void end() override;
};

struct ResidencySet : Object {
  std::set<Buffer*> added, committed;  // each with a reference of the set's
  bool requested = false;
  void end() override;
};

struct CommandBuffer;

struct Queue : Object {
  std::vector<ResidencySet*> sets;
  std::deque<CommandBuffer*> committed;  // not run yet
  void end() override;
};

struct CompileOptions : Object {
  u64 language = 0;
  bool safe_math = false;
};
struct Library : Object {
  std::string text;
};
struct Kernel : Object {  // a function, and a pipeline
  const emulator::EmulatedKernel* kernel = nullptr;
};

// A dispatch as it was encoded: what is bound may be gone when it runs.
struct Encoded {
  Kernel* pipeline = nullptr;
  std::vector<std::byte> params;
  struct Binding {
    Buffer* buffer = nullptr;
    u64 offset = 0;
  };
  std::map<u64, Binding> buffers;  // by index
  Size grid{}, group{};
};

struct Encoder : Object {
  CommandBuffer* commands = nullptr;
  Encoded state;  // of the next dispatch
  bool ended = false;
  void end() override;
};

struct CommandBuffer : Object {
  Queue* queue = nullptr;
  std::vector<std::vector<Encoded>> waves;  // between barriers
  bool encoding = false, concurrent = false;
  u64 status = 0;
  std::string failure;
  std::int64_t failure_code = 1;
  double started = 0, ended = 0;
  void end() override;
};

// Runs everything committed to the queue, in no certain order: hazards are not tracked.
void drain(Queue& queue);

void define_commands();  // queue, command buffer, encoder

}  // namespace medlar::metal_stub
