// Metal's queue, command buffers and encoders: as lazy and as free in their order as a driver may be. Nothing
// runs before somebody waits; dispatches between two barriers run in a shuffled order, and so do command
// buffers that nobody waited for in between.
#include <algorithm>
#include <chrono>
#include <exception>
#include <random>
#include <utility>

#include "kernels/gpu/emulator/machine.h"
#include "tests/gpu/metal_runtime_stub/metal.h"
#include "tests/gpu/metal_runtime_stub/stub.h"

namespace medlar::metal_stub {
namespace {

constexpr u64 kMaxIndex = 30, kMaxBytes = 4096;
constexpr u64 kCommitted = 2, kCompleted = 4, kError = 5;
constexpr u64 kConcurrent = 1, kBufferScope = 1;

struct Gpu {
  emulator::Machine machine;
  std::mt19937 order{20260101};
};
Gpu& gpu() {
  static auto* const one = new Gpu;
  return *one;
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string name_of_kernel(const Encoded& call) { return std::string(call.pipeline->kernel->name); }

void check_residency(const Queue& queue, const Encoded& call, const Buffer& buffer) {
  if (queue.sets.empty()) return;
  for (const ResidencySet* set : queue.sets) {
    if (!set->committed.contains(const_cast<Buffer*>(&buffer))) continue;
    if (!set->requested) fault(name_of_kernel(call) + " runs while its buffers' residency is not requested");
    return;
  }
  fault(name_of_kernel(call) + " uses a buffer that is in no residency set");
}

bool is_complete(const Encoded& call) {
  const emulator::EmulatedKernel& kernel = *call.pipeline->kernel;
  if (call.params.size() < kernel.parameter_bytes) return false;
  for (u64 i = 1; i <= kernel.buffers; ++i)
    if (!call.buffers.contains(i)) return false;
  return true;
}

void run(const Queue& queue, const Encoded& call) {
  const emulator::EmulatedKernel& kernel = *call.pipeline->kernel;
  std::vector<const void*> arguments{call.params.data()};
  for (u64 i = 1; i <= kernel.buffers; ++i) {
    const Encoded::Binding& b = call.buffers.at(i);
    if (b.buffer->references <= 0) return fault(name_of_kernel(call) + " uses a buffer that was released");
    if (b.buffer->purgeable != kNonVolatile) fault(name_of_kernel(call) + " uses a buffer that is volatile");
    check_residency(queue, call, *b.buffer);
    arguments.push_back(b.buffer->bytes + b.offset);
  }
  const auto grid = [](u64 n) { return static_cast<std::uint32_t>(n); };
  gpu().machine.run({kernel.name,
                     kernel.run,
                     arguments.data(),
                     {grid(call.grid.width), grid(call.grid.height), grid(call.grid.depth)},
                     kernel.threads});
}

void run(CommandBuffer& commands) {
  commands.started = now();
  commands.failure = std::exchange(behaviour().failure, {});
  commands.failure_code = behaviour().failure_code;
  try {
    for (std::vector<Encoded>& wave : commands.waves) {
      std::ranges::shuffle(wave, gpu().order);
      for (const Encoded& call : wave)
        if (commands.failure.empty()) run(*commands.queue, call);
    }
  } catch (const std::exception& e) {
    commands.failure = e.what();
  }
  commands.status = commands.failure.empty() ? kCompleted : kError;
  commands.ended = now();
}

Object* command_buffer(Queue& self) {
  auto* const commands = make<CommandBuffer>("StubCommandBuffer");
  commands->queue = &self;
  return autorelease(commands);
}
void add_residency(Queue& self, Object* set) {
  retain(set);
  self.sets.push_back(static_cast<ResidencySet*>(set));
}
void remove_residency(Queue& self, Object* set) {
  if (std::erase(self.sets, static_cast<ResidencySet*>(set)) == 0)
    return fault("removeResidencySet: not of this queue");
  release(set);
}

Object* compute_encoder(CommandBuffer& self, u64 type) {
  if (self.encoding || self.status != 0) fault("an encoder while another is open, or after commit");
  self.encoding = true, self.concurrent = type == kConcurrent;
  self.waves.emplace_back();
  auto* const encoder = make<Encoder>("StubEncoder");
  encoder->commands = &self;
  return autorelease(encoder);
}
void commit(CommandBuffer& self) {
  if (self.encoding) fault("commit before endEncoding");
  if (self.status != 0) return fault("commit twice");
  self.status = kCommitted;
  retain(&self);
  self.queue->committed.push_back(&self);
}
void wait(CommandBuffer& self) {
  if (self.status == 0) return fault("waitUntilCompleted before commit: this waits for ever");
  drain(*self.queue);
}
u64 status(CommandBuffer& self) { return self.status; }
Object* error(CommandBuffer& self) {
  return self.status == kError ? problem(self.failure, self.failure_code) : nullptr;
}
double start_time(CommandBuffer& self) { return self.started; }
double end_time(CommandBuffer& self) { return self.ended; }

bool usable(const Encoder& self) {
  if (self.ended) fault("an encoder is used after endEncoding");
  return !self.ended;
}
void set_pipeline(Encoder& self, Object* pipeline) {
  if (!usable(self)) return;
  self.state.pipeline = dynamic_cast<Kernel*>(pipeline);
  if (!self.state.pipeline) fault("setComputePipelineState: what is no pipeline");
}
void set_bytes(Encoder& self, const void* bytes, u64 length, u64 index) {
  if (!usable(self)) return;
  if (length > kMaxBytes || length == 0) return fault("setBytes: no bytes, or more than 4 KiB");
  if (index != 0) return fault("setBytes: at another index than 0");
  const auto* const begin = static_cast<const std::byte*>(bytes);
  self.state.params.assign(begin, begin + length);
}
void set_buffer(Encoder& self, Object* buffer, u64 offset, u64 index) {
  if (!usable(self)) return;
  auto* const bound = dynamic_cast<Buffer*>(buffer);
  if (!bound || index > kMaxIndex) return fault("setBuffer: what is no buffer, or an index above 30");
  if (offset >= bound->length || offset % 4 != 0)
    return fault("setBuffer: an offset past the end, or not of whole words");
  self.state.buffers[index] = {bound, offset};
}
void barrier(Encoder& self, u64 scope) {
  if (!usable(self)) return;
  if (scope != kBufferScope) return fault("memoryBarrierWithScope: of another scope than buffers");
  self.commands->waves.emplace_back();
}
void dispatch(Encoder& self, Size grid, Size group) {
  if (!usable(self)) return;
  if (!self.state.pipeline) return fault("a dispatch without a pipeline");
  if (grid.width * grid.height * grid.depth == 0)
    return fault(name_of_kernel(self.state) + ": an empty grid");
  if (group.width * group.height * group.depth != self.state.pipeline->kernel->threads)
    return fault(name_of_kernel(self.state) + ": a threadgroup of " +
                 std::to_string(group.width * group.height * group.depth) + " threads, not of " +
                 std::to_string(self.state.pipeline->kernel->threads));
  if (!is_complete(self.state))
    return fault(name_of_kernel(self.state) + ": not all of its arguments are set");
  self.state.grid = grid, self.state.group = group;
  if (!self.commands->concurrent) self.commands->waves.emplace_back();
  self.commands->waves.back().push_back(self.state);
}
void end_encoding(Encoder& self) {
  if (!usable(self)) return;
  self.ended = true;
  self.commands->encoding = false;
}

}  // namespace

void Queue::end() {
  if (!committed.empty()) fault("a queue is released while commands run");
  for (ResidencySet* set : sets) release(set);
}
void CommandBuffer::end() {
  if (status == kCommitted) fault("a command buffer is released while it runs");
  waves.clear();
}
void Encoder::end() {
  if (!ended) fault("an encoder is released before endEncoding");
  state = {};
}

void drain(Queue& queue) {
  std::vector<CommandBuffer*> commands(queue.committed.begin(), queue.committed.end());
  queue.committed.clear();
  std::ranges::shuffle(commands, gpu().order);
  for (CommandBuffer* c : commands) run(*c);
  for (CommandBuffer* c : commands) release(c);
}

void define_commands() {
  Class& queue = class_named("StubCommandQueue");
  define<&command_buffer>(queue, "commandBufferWithUnretainedReferences");
  define<&add_residency>(queue, "addResidencySet:");
  define<&remove_residency>(queue, "removeResidencySet:");
  Class& commands = class_named("StubCommandBuffer");
  define<&compute_encoder>(commands, "computeCommandEncoderWithDispatchType:");
  define<&commit>(commands, "commit");
  define<&wait>(commands, "waitUntilCompleted");
  define<&status>(commands, "status");
  define<&error>(commands, "error");
  define<&start_time>(commands, "GPUStartTime");
  define<&end_time>(commands, "GPUEndTime");
  Class& encoder = class_named("StubEncoder");
  define<&set_pipeline>(encoder, "setComputePipelineState:");
  define<&set_bytes>(encoder, "setBytes:length:atIndex:");
  define<&set_buffer>(encoder, "setBuffer:offset:atIndex:");
  define<&barrier>(encoder, "memoryBarrierWithScope:");
  define<&dispatch>(encoder, "dispatchThreadgroups:threadsPerThreadgroup:");
  define<&end_encoding>(encoder, "endEncoding");
}

}  // namespace medlar::metal_stub
