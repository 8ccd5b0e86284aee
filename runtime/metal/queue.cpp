#include "runtime/metal/queue.h"

#include "base/error.h"

namespace medlar::runtime::metal {
namespace {

constexpr const char* kHint = "use --device cpu";

Id required(Id object, const char* what) {
  if (!object) throw Error(ErrorKind::device, fmt::format("Metal: cannot make {}", what), kHint);
  return object;
}

Owned make_queue(const System& system) {
  const Pool pool(system.objc);
  return {system.objc, required(system.call.make_queue(system.device.get()), "a command queue")};
}

}  // namespace

Queue::Queue(const System& system) : system_(system), handle_(make_queue(system)) {}

// Hazards are not tracked: within a list barriers order what must be ordered, between lists waiting does.
void Queue::commit(std::span<const Call> calls) {
  const std::lock_guard lock(mutex_);
  wait_locked();
  const Methods& call = system_.call;
  const Pool pool(system_.objc);
  const Id commands = required(call.command_buffer(handle_.get()), "a command buffer");
  const Id encoder = required(call.compute_encoder(commands, kConcurrent), "a compute encoder");
  encode(encoder, calls);
  call.end_encoding(encoder);
  running_ = {system_.objc, system_.objc.retain(commands)};
  call.commit(commands);
}

void Queue::encode(Id encoder, std::span<const Call> calls) const {
  const Methods& call = system_.call;
  Id pipeline = nullptr;
  for (const Call& c : calls) {
    if (c.barrier) call.barrier(encoder, kBuffers);
    if (c.pipeline != pipeline) call.set_pipeline(encoder, pipeline = c.pipeline);
    call.set_bytes(encoder, c.params.data(), c.params.size(), 0);
    for (std::size_t i = 0; i < c.arguments.size(); ++i)
      call.set_buffer(encoder, c.arguments[i].buffer, c.arguments[i].offset, i + 1);
    call.dispatch(encoder, c.grid, c.group);
  }
}

void Queue::wait() {
  const std::lock_guard lock(mutex_);
  wait_locked();
}

void Queue::wait_locked() {
  if (!running_) return;
  const Methods& call = system_.call;
  const Pool pool(system_.objc);
  const Owned done = std::move(running_);
  call.wait(done.get());
  if (call.status(done.get()) == kCompleted) {
    const std::chrono::duration<double> took(call.end_time(done.get()) - call.start_time(done.get()));
    time_ = std::chrono::duration_cast<std::chrono::nanoseconds>(took);
    return;
  }
  const Id error = call.error(done.get());
  const bool memory = error && call.code(error) == kErrorOutOfMemory;
  throw Error(memory ? ErrorKind::out_of_memory : ErrorKind::device,
              fmt::format("Metal: the GPU did not finish a step: {}", system_.reason(error)),
              memory ? "use a smaller context (--ctx) or model, or --device cpu" : kHint);
}

void Queue::finish() noexcept {
  const std::lock_guard lock(mutex_);
  if (!running_) return;
  const Pool pool(system_.objc);
  system_.call.wait(running_.get());
  running_ = {};
}

}  // namespace medlar::runtime::metal
