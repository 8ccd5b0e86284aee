// A libcuda.so.1 without a GPU, for tests: kernels run on the emulator. It is as lazy as a driver may be:
// nothing queued on a stream happens before somebody waits, and memory is not zeroed. And as eager: where a
// kernel may start early, memory that kernels write is out of reach until it has waited for those before it.
// STUB_GPUS says how many there are, each with memory of its own, which the others' kernels may only touch
// where access was enabled; STUB_GPU_BYTES how much each has, with commas between; STUB_GPU_FULL which
// allocation, counted from 1 on, finds no memory left.
#include "runtime/cuda/driver.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "kernels/gpu/emulator/kernels.h"
#include "kernels/gpu/emulator/machine.h"
#include "kernels/gpu/emulator/phases.h"
#include "kernels/gpu/kernels.h"

namespace {

namespace cuda = medlar::runtime::cuda;
using medlar::emulator::EmulatedKernel;
using medlar::runtime::cuda::Attribute;
using medlar::runtime::cuda::DevicePointer;
using medlar::runtime::cuda::EdgeData;
using medlar::runtime::cuda::FunctionAttribute;
using medlar::runtime::cuda::Handle;
using medlar::runtime::cuda::KernelNode;
using medlar::runtime::cuda::Result;

constexpr Result kOk = 0, kInvalid = 1, kOutOfMemory = 2, kNoContext = 201, kNotFound = 500, kEnabled = 704,
                 kLaunchFailed = 719;
constexpr std::size_t kMemory = std::size_t{2} << 30;  // unless STUB_GPU_BYTES says otherwise

struct Gpu;

// A kernel that was loaded on a GPU.
struct Function {
  const EmulatedKernel* kernel;
  Gpu* gpu;
  unsigned shared_bytes = 0;  // beside its arrays that it may be given
};

struct Node {
  const EmulatedKernel* kernel;
  Gpu* gpu;
  std::vector<std::byte> params;
  std::vector<const void*> args;
  medlar::emulator::Extent grid;
  unsigned shared_bytes = 0;
  bool early = false;  // may start before the node before it has ended
};

struct Gpu {
  int number = 0;
  std::deque<std::function<bool()>> queue;  // of its one stream; false: the kernel failed
  std::size_t done = 0;                     // of what was ever queued
  std::map<void*, std::size_t> memory;
  std::size_t total = 0, used = 0;
  std::set<const Gpu*> reached;  // those whose memory its kernels may touch
  std::map<std::string, Function> functions;
  medlar::emulator::Machine machine;
};

std::string setting(const char* name, const std::string& otherwise) {
  const char* const value = std::getenv(name);
  return value ? value : otherwise;
}

std::vector<Gpu>& gpus() {
  static std::vector<Gpu> all = [] {
    std::vector<Gpu> made(std::stoull(setting("STUB_GPUS", "1")));
    std::stringstream sizes(setting("STUB_GPU_BYTES", std::to_string(kMemory)));
    std::string size;
    for (std::size_t i = 0; i < made.size(); ++i) {
      made[i].number = static_cast<int>(i);
      if (std::string next; std::getline(sizes, next, ',')) size = next;
      made[i].total = std::stoull(size);
    }
    return made;
  }();
  return all;
}

std::map<void*, std::size_t>& pinned() {
  static std::map<void*, std::size_t> blocks;
  return blocks;
}

thread_local Gpu* current = nullptr;

// Runs what was queued, up to so many things ever.
Result drain(Gpu& gpu, std::size_t until = SIZE_MAX) {
  bool good = true;
  while (!gpu.queue.empty() && gpu.done < until) {
    const std::function<bool()> next = std::move(gpu.queue.front());
    gpu.queue.pop_front(), ++gpu.done;
    good = next() && good;
  }
  return good ? kOk : kLaunchFailed;
}

Result drain_all() {
  Result result = kOk;
  for (Gpu& gpu : gpus()) result = std::max(result, drain(gpu));
  return result;
}

struct Event {
  bool timed = false;
  Gpu* gpu = nullptr;  // null: never recorded
  std::size_t until = 0;
  std::chrono::steady_clock::time_point reached;  // where timed
  int queries = 0;
};

// The GPU in whose memory this is; null: in none's.
Gpu* owner(const void* at) {
  for (Gpu& gpu : gpus()) {
    const auto after = gpu.memory.upper_bound(const_cast<void*>(at));
    if (after == gpu.memory.begin()) continue;
    const auto& [begin, bytes] = *std::prev(after);
    if (static_cast<const std::byte*>(at) < static_cast<const std::byte*>(begin) + bytes) return &gpu;
  }
  return nullptr;
}

bool is_pinned(const void* at) {
  const auto* byte = static_cast<const std::byte*>(at);
  return std::ranges::any_of(pinned(), [&](const auto& block) {
    const auto* begin = static_cast<const std::byte*>(block.first);
    return byte >= begin && byte < begin + block.second;
  });
}

void* pointer(DevicePointer at) { return reinterpret_cast<void*>(static_cast<std::uintptr_t>(at)); }
template <class T>
Handle handle(T* object) {
  return reinterpret_cast<Handle>(object);
}
template <class T>
T* object(Handle handle) {
  return reinterpret_cast<T*>(handle);
}

// The blocks that some of the nodes write.
std::vector<std::pair<void*, std::size_t>> written_blocks(const std::vector<Node>& nodes) {
  std::map<void*, std::size_t> blocks;
  for (const Node& node : nodes)
    for (std::size_t i = 1; i < node.args.size(); ++i)
      if (node.kernel->written >> i & 1U)
        blocks.insert(*std::prev(owner(node.args[i])->memory.upper_bound(const_cast<void*>(node.args[i]))));
  return {blocks.begin(), blocks.end()};
}

const char* running = "";

[[noreturn]] void stop(const char* what) {
  for (const char* text : {"kernel ", running, what})
    if (::write(2, text, std::strlen(text)) < 0) break;
  ::_exit(86);
}

extern "C" void touched_early(int) { stop(" touches memory of other kernels before wait_previous()\n"); }

void check_pointers(const std::vector<Node>& nodes) {
  for (const Node& node : nodes) {
    running = node.kernel->name.data();
    for (std::size_t i = 1; i < node.args.size(); ++i) {
      const Gpu* const gpu = owner(node.args[i]);
      if (!gpu) stop(" is given memory that is no GPU's\n");
      if (gpu != node.gpu && !node.gpu->reached.contains(gpu)) stop(" is given memory of another GPU\n");
    }
  }
}

bool run(const std::vector<Node>& nodes) {
  check_pointers(nodes);
  const auto blocks = written_blocks(nodes);
  const auto hide = [&](bool hidden) {
    for (const auto& [at, bytes] : blocks) ::mprotect(at, bytes, hidden ? PROT_NONE : PROT_READ | PROT_WRITE);
    std::signal(SIGSEGV, hidden ? touched_early : SIG_DFL);
  };
  try {
    for (Node node : nodes) {
      node.args[0] = node.params.data();
      running = node.kernel->name.data();  // ends in 0: it is a literal
      medlar::emulator::Launch launch{node.kernel->name, node.kernel->run, node.args.data(), node.grid,
                                      node.kernel->threads};
      launch.large_bytes = node.shared_bytes;
      if (node.early) launch.previous = hide;
      node.gpu->machine.run(launch);
    }
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

extern "C" {

Result cuGetErrorString(Result result, const char** text) {
  *text = result == kOutOfMemory ? "out of memory" : result == kLaunchFailed ? "launch failed" : "stub error";
  return kOk;
}
Result cuInit(unsigned) { return kOk; }
Result cuDriverGetVersion(int* version) { return *version = 13000, kOk; }
Result cuDeviceGetCount(int* count) { return *count = static_cast<int>(gpus().size()), kOk; }
Result cuDeviceGet(int* device, int number) {
  if (number < 0 || static_cast<std::size_t>(number) >= gpus().size()) return kInvalid;
  return *device = number, kOk;
}
Result cuDeviceGetName(char* name, int size, int) {
  return std::strncpy(name, "stub", std::size_t(size)), kOk;
}
Result cuDeviceGetAttribute(int* value, Attribute which, int) {
  *value = which == Attribute::capability_major ? 9 : which == Attribute::cores ? 5 : 0;
  return kOk;
}
Result cuDevicePrimaryCtxRetain(Handle* context, int device) {
  return *context = handle(&gpus()[static_cast<std::size_t>(device)]), kOk;
}
Result cuDevicePrimaryCtxRelease_v2(int) { return kOk; }
Result cuCtxSetCurrent(Handle context) { return current = object<Gpu>(context), context ? kOk : kInvalid; }
Result cuDeviceCanAccessPeer(int* can, int, int) { return *can = setting("STUB_GPU_PEERS", "1") == "1", kOk; }
Result cuCtxEnablePeerAccess(Handle context, unsigned) {
  if (!current) return kNoContext;
  return current->reached.insert(object<Gpu>(context)).second ? kOk : kEnabled;
}
Result cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  if (!current) return kNoContext;
  return *total = current->total, *free = current->total - current->used, kOk;
}
Result cuMemAlloc_v2(DevicePointer* at, std::size_t bytes) {
  static std::size_t count = 0;
  if (!current) return kNoContext;
  if (bytes == 0) return kInvalid;
  if (bytes > current->total - current->used || std::to_string(++count) == setting("STUB_GPU_FULL", ""))
    return kOutOfMemory;
  void* const block = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return kOutOfMemory;
  std::memset(block, 0xCD, bytes);
  current->memory[block] = bytes;
  current->used += bytes;
  *at = reinterpret_cast<std::uintptr_t>(block);
  return kOk;
}
Result cuMemFree_v2(DevicePointer at) {
  if (!current) return kNoContext;
  const Result result = drain_all();
  Gpu* const gpu = owner(pointer(at));
  const auto block = gpu ? gpu->memory.find(pointer(at)) : current->memory.end();
  if (!gpu || block == gpu->memory.end()) return kInvalid;
  gpu->used -= block->second;
  ::munmap(block->first, block->second);
  gpu->memory.erase(block);
  return result;
}
Result cuMemHostAlloc(void** at, std::size_t bytes, unsigned) {
  if (!current) return kNoContext;
  *at = ::operator new(bytes);
  pinned()[*at] = bytes;
  return kOk;
}
Result cuMemFreeHost(void* at) {
  drain_all();
  if (pinned().erase(at) == 0) return kInvalid;
  ::operator delete(at);
  return kOk;
}

Result cuMemsetD8Async(DevicePointer at, unsigned char value, std::size_t bytes, Handle stream) {
  object<Gpu>(stream)->queue.emplace_back([=] { return std::memset(pointer(at), value, bytes), true; });
  return kOk;
}
Result cuMemcpyHtoDAsync_v2(DevicePointer to, const void* from, std::size_t bytes, Handle stream) {
  if (is_pinned(from)) {
    object<Gpu>(stream)->queue.emplace_back([=] { return std::memcpy(pointer(to), from, bytes), true; });
    return kOk;
  }
  const auto* begin = static_cast<const std::byte*>(from);
  object<Gpu>(stream)->queue.emplace_back([to, copy = std::vector<std::byte>(begin, begin + bytes)] {
    return std::memcpy(pointer(to), copy.data(), copy.size()), true;
  });
  return kOk;
}
Result cuMemcpyDtoHAsync_v2(void* to, DevicePointer from, std::size_t bytes, Handle stream) {
  object<Gpu>(stream)->queue.emplace_back([=] { return std::memcpy(to, pointer(from), bytes), true; });
  return kOk;
}
Result cuMemcpyPeerAsync(DevicePointer to, Handle to_context, DevicePointer from, Handle from_context,
                         std::size_t bytes, Handle stream) {
  if (owner(pointer(to)) != object<Gpu>(to_context) || owner(pointer(from)) != object<Gpu>(from_context))
    return kInvalid;
  object<Gpu>(stream)->queue.emplace_back(
      [=] { return std::memcpy(pointer(to), pointer(from), bytes), true; });
  return kOk;
}

Result cuStreamCreate(Handle* stream, unsigned) {
  return current ? (*stream = handle(current), kOk) : kNoContext;
}
Result cuStreamDestroy_v2(Handle) { return kOk; }
Result cuStreamSynchronize(Handle stream) { return drain(*object<Gpu>(stream)); }
Result cuStreamWaitEvent(Handle stream, Handle event, unsigned) {
  const Event waited = *object<Event>(event);  // as it is recorded now
  if (waited.gpu)
    object<Gpu>(stream)->queue.emplace_back([=] { return drain(*waited.gpu, waited.until) == kOk; });
  return kOk;
}
Result cuEventCreate(Handle* event, unsigned flags) {
  return *event = handle(new Event{.timed = (flags & cuda::kUntimed) == 0}), kOk;
}
Result cuEventDestroy_v2(Handle event) {
  const Event* const e = object<Event>(event);
  if (e->gpu) drain(*e->gpu, e->until);
  return delete e, kOk;
}
Result cuEventRecord(Handle event, Handle stream) {
  Gpu* const gpu = object<Gpu>(stream);
  Event* const e = object<Event>(event);
  if (e->timed) gpu->queue.emplace_back([e] { return e->reached = std::chrono::steady_clock::now(), true; });
  e->gpu = gpu, e->until = gpu->done + gpu->queue.size();
  return kOk;
}
Result cuEventSynchronize(Handle event) {
  const Event waited = *object<Event>(event);
  return waited.gpu ? drain(*waited.gpu, waited.until) : kOk;
}
// Not ready at first, as long as one may wait for that.
Result cuEventQuery(Handle event) {
  return ++object<Event>(event)->queries % 3 == 0 ? cuEventSynchronize(event) : cuda::kNotReady;
}
Result cuEventElapsedTime(float* milliseconds, Handle from, Handle to) {
  const Event &begin = *object<Event>(from), &end = *object<Event>(to);
  if (!begin.timed || !end.timed || !begin.gpu || !end.gpu) return kInvalid;
  for (const Event* e : {&begin, &end})
    if (e->gpu->done < e->until) return cuda::kNotReady;
  *milliseconds = std::chrono::duration<float, std::milli>(end.reached - begin.reached).count();
  return kOk;
}

Result cuModuleLoadData(Handle* module, const void* image) {
  *module = handle(new std::string(static_cast<const char*>(image)));
  return kOk;
}
Result cuModuleUnload(Handle module) { return delete object<std::string>(module), kOk; }
// The stub's cubin is the text: a kernel that it does not name is not in it.
Result cuModuleGetFunction(Handle* function, Handle module, const char* name) {
  const EmulatedKernel* kernel = medlar::emulator::find_kernel(name);
  if (!current) return kNoContext;
  if (!kernel || object<std::string>(module)->find(name) == std::string::npos) return kNotFound;
  *function = handle(&(current->functions[name] = {kernel, current}));
  return kOk;
}

Result cuFuncSetAttribute(Handle function, FunctionAttribute which, int bytes) {
  if (which != FunctionAttribute::shared_bytes || bytes > int(medlar::emulator::kLargeBytes)) return kInvalid;
  object<Function>(function)->shared_bytes = unsigned(bytes);
  return kOk;
}

Result cuGraphCreate(Handle* graph, unsigned) { return *graph = handle(new std::vector<Node>), kOk; }
Result cuGraphDestroy(Handle graph) { return delete object<std::vector<Node>>(graph), kOk; }
Result cuGraphAddKernelNode(Handle* added, Handle graph, const Handle* before, std::size_t count,
                            const KernelNode* node) {
  auto& nodes = *object<std::vector<Node>>(graph);
  const Function& function = *object<Function>(node->function);
  const EmulatedKernel* kernel = function.kernel;
  if (node->block_x != kernel->threads) return kInvalid;
  if (node->shared_bytes != medlar::gpu::find_kernel(kernel->name)->shared_bytes) return kInvalid;
  if (node->shared_bytes > function.shared_bytes) return kInvalid;
  for (std::size_t i = 0; i < count; ++i)
    if (reinterpret_cast<std::uintptr_t>(before[i]) > nodes.size()) return kInvalid;
  const auto* params = static_cast<const std::byte*>(node->params[0]);
  Node copy{.kernel = kernel,
            .gpu = function.gpu,
            .params = {params, params + kernel->parameter_bytes},
            .args = {nullptr},
            .grid = {node->grid_x, node->grid_y, node->grid_z},
            .shared_bytes = node->shared_bytes};
  for (std::size_t i = 1; i <= kernel->buffers; ++i)
    copy.args.push_back(pointer(*static_cast<const DevicePointer*>(node->params[i])));
  nodes.push_back(std::move(copy));
  *added = reinterpret_cast<Handle>(nodes.size());
  return kOk;
}
// Only what a driver takes: kernels, programmatic, in the order of the nodes.
Result cuGraphAddDependencies_v2(Handle graph, const Handle* from, const Handle* to, const EdgeData* edges,
                                 std::size_t count) {
  auto& nodes = *object<std::vector<Node>>(graph);
  for (std::size_t i = 0; i < count; ++i) {
    const auto before = reinterpret_cast<std::uintptr_t>(from[i]),
               after = reinterpret_cast<std::uintptr_t>(to[i]);
    const EdgeData& edge = edges[i];
    if (before < 1 || before >= after || after > nodes.size()) return kInvalid;
    if (edge.from_port != 1 || edge.to_port != 0 || edge.type != 1) return kInvalid;
    nodes[after - 1].early = true;
  }
  return kOk;
}
Result cuGraphInstantiateWithFlags(Handle* executable, Handle graph, unsigned long long) {
  return *executable = handle(new std::vector<Node>(*object<std::vector<Node>>(graph))), kOk;
}
Result cuGraphExecDestroy(Handle executable) {
  drain_all();
  return delete object<std::vector<Node>>(executable), kOk;
}
// Of kernels that were loaded on the stream's GPU.
Result cuGraphLaunch(Handle executable, Handle stream) {
  Gpu* const gpu = object<Gpu>(stream);
  const auto& nodes = *object<std::vector<Node>>(executable);
  if (std::ranges::any_of(nodes, [&](const Node& node) { return node.gpu != gpu; })) return kInvalid;
  gpu->queue.emplace_back([=] { return run(*object<std::vector<Node>>(executable)); });
  return kOk;
}

}  // extern "C"
