// A libcuda.so.1 without a GPU, for tests: kernels run on the emulator. It is as lazy as a driver may be:
// nothing queued on the stream happens before somebody waits, and memory is not zeroed. And as eager: where a
// kernel may start early, memory that kernels write is out of reach until it has waited for those before it.
#include "runtime/cuda/driver.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "kernels/gpu/emulator/kernels.h"
#include "kernels/gpu/emulator/machine.h"
#include "kernels/gpu/emulator/phases.h"
#include "kernels/gpu/kernels.h"

namespace {

using medlar::emulator::EmulatedKernel;
using medlar::runtime::cuda::Attribute;
using medlar::runtime::cuda::DevicePointer;
using medlar::runtime::cuda::EdgeData;
using medlar::runtime::cuda::FunctionAttribute;
using medlar::runtime::cuda::Handle;
using medlar::runtime::cuda::KernelNode;
using medlar::runtime::cuda::Result;

constexpr Result kOk = 0, kInvalid = 1, kOutOfMemory = 2, kNotFound = 500, kLaunchFailed = 719;
constexpr std::size_t kMemory = std::size_t{2} << 30;  // unless STUB_GPU_BYTES says otherwise

constexpr unsigned kSharedBytes = 48 << 10;  // without an attribute

struct Node {
  const EmulatedKernel* kernel;
  std::vector<std::byte> params;
  std::vector<const void*> args;
  medlar::emulator::Extent grid;
  unsigned shared_bytes = 0;
  bool early = false;  // may start before the node before it has ended
};

struct Gpu {
  std::deque<std::function<bool()>> queue;  // false: the kernel failed
  std::map<void*, std::size_t> pinned, memory;
  std::size_t total = std::getenv("STUB_GPU_BYTES") ? std::stoull(std::getenv("STUB_GPU_BYTES")) : kMemory;
  std::size_t used = 0;
  std::map<const EmulatedKernel*, unsigned> shared;  // bytes that a kernel may be given
  medlar::emulator::Machine machine;
};

Gpu& gpu() {
  static Gpu all;
  return all;
}

Result drain() {
  bool good = true;
  for (; !gpu().queue.empty(); gpu().queue.pop_front()) good = gpu().queue.front()() && good;
  return good ? kOk : kLaunchFailed;
}

bool is_pinned(const void* at) {
  const auto* byte = static_cast<const std::byte*>(at);
  return std::ranges::any_of(gpu().pinned, [&](const auto& block) {
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
        blocks.insert(*std::prev(gpu().memory.upper_bound(const_cast<void*>(node.args[i]))));
  return {blocks.begin(), blocks.end()};
}

const char* running = "";

extern "C" void touched_early(int) {
  for (const char* text : {"kernel ", running, " touches memory of other kernels before wait_previous()\n"})
    if (::write(2, text, std::strlen(text)) < 0) break;
  ::_exit(86);
}

bool run(const std::vector<Node>& nodes) {
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
      gpu().machine.run(launch);
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
Result cuDeviceGetCount(int* count) { return *count = 1, kOk; }
Result cuDeviceGet(int* device, int number) { return *device = number, kOk; }
Result cuDeviceGetName(char* name, int size, int) {
  return std::strncpy(name, "stub", std::size_t(size)), kOk;
}
Result cuDeviceGetAttribute(int* value, Attribute which, int) {
  *value = which == Attribute::capability_major ? 9 : which == Attribute::cores ? 5 : 0;
  return kOk;
}
Result cuDevicePrimaryCtxRetain(Handle* context, int) { return *context = handle(&gpu()), kOk; }
Result cuDevicePrimaryCtxRelease_v2(int) { return kOk; }
Result cuCtxSetCurrent(Handle context) { return context ? kOk : kInvalid; }
Result cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  return *total = gpu().total, *free = gpu().total - gpu().used, kOk;
}
Result cuMemAlloc_v2(DevicePointer* at, std::size_t bytes) {
  if (bytes == 0) return kInvalid;
  if (bytes > gpu().total - gpu().used) return kOutOfMemory;
  void* const block = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return kOutOfMemory;
  std::memset(block, 0xCD, bytes);
  gpu().memory[block] = bytes;
  gpu().used += bytes;
  *at = reinterpret_cast<std::uintptr_t>(block);
  return kOk;
}
Result cuMemFree_v2(DevicePointer at) {
  const Result result = drain();
  const auto block = gpu().memory.find(pointer(at));
  if (block == gpu().memory.end()) return kInvalid;
  gpu().used -= block->second;
  ::munmap(block->first, block->second);
  gpu().memory.erase(block);
  return result;
}
Result cuMemHostAlloc(void** at, std::size_t bytes, unsigned) {
  *at = ::operator new(bytes);
  gpu().pinned[*at] = bytes;
  return kOk;
}
Result cuMemFreeHost(void* at) {
  drain();
  if (gpu().pinned.erase(at) == 0) return kInvalid;
  ::operator delete(at);
  return kOk;
}

Result cuMemsetD8Async(DevicePointer at, unsigned char value, std::size_t bytes, Handle) {
  gpu().queue.emplace_back([=] { return std::memset(pointer(at), value, bytes), true; });
  return kOk;
}
Result cuMemcpyHtoDAsync_v2(DevicePointer to, const void* from, std::size_t bytes, Handle) {
  if (is_pinned(from)) {
    gpu().queue.emplace_back([=] { return std::memcpy(pointer(to), from, bytes), true; });
    return kOk;
  }
  const auto* begin = static_cast<const std::byte*>(from);
  gpu().queue.emplace_back([to, copy = std::vector<std::byte>(begin, begin + bytes)] {
    return std::memcpy(pointer(to), copy.data(), copy.size()), true;
  });
  return kOk;
}
Result cuMemcpyDtoHAsync_v2(void* to, DevicePointer from, std::size_t bytes, Handle) {
  gpu().queue.emplace_back([=] { return std::memcpy(to, pointer(from), bytes), true; });
  return kOk;
}

Result cuStreamCreate(Handle* stream, unsigned) { return *stream = handle(&gpu().queue), kOk; }
Result cuStreamDestroy_v2(Handle) { return kOk; }
Result cuStreamSynchronize(Handle) { return drain(); }
Result cuEventCreate(Handle* event, unsigned) { return *event = handle(&gpu()), kOk; }
Result cuEventDestroy_v2(Handle) { return kOk; }
Result cuEventRecord(Handle, Handle) { return kOk; }
Result cuEventSynchronize(Handle) { return drain(); }

Result cuModuleLoadData(Handle* module, const void* image) {
  *module = handle(new std::string(static_cast<const char*>(image)));
  return kOk;
}
Result cuModuleUnload(Handle module) { return delete object<std::string>(module), kOk; }
// The stub's cubin is the text: a kernel that it does not name is not in it.
Result cuModuleGetFunction(Handle* function, Handle module, const char* name) {
  const EmulatedKernel* kernel = medlar::emulator::find_kernel(name);
  if (!kernel || object<std::string>(module)->find(name) == std::string::npos) return kNotFound;
  *function = reinterpret_cast<Handle>(const_cast<EmulatedKernel*>(kernel));
  return kOk;
}

Result cuFuncSetAttribute(Handle function, FunctionAttribute which, int bytes) {
  if (which != FunctionAttribute::shared_bytes || bytes > int(medlar::emulator::kLargeBytes)) return kInvalid;
  gpu().shared[object<const EmulatedKernel>(function)] = unsigned(bytes);
  return kOk;
}

Result cuGraphCreate(Handle* graph, unsigned) { return *graph = handle(new std::vector<Node>), kOk; }
Result cuGraphDestroy(Handle graph) { return delete object<std::vector<Node>>(graph), kOk; }
Result cuGraphAddKernelNode(Handle* added, Handle graph, const Handle* before, std::size_t count,
                            const KernelNode* node) {
  auto& nodes = *object<std::vector<Node>>(graph);
  const auto* kernel = object<const EmulatedKernel>(node->function);
  if (node->block_x != kernel->threads) return kInvalid;
  if (node->shared_bytes != medlar::gpu::find_kernel(kernel->name)->shared_bytes) return kInvalid;
  if (node->shared_bytes > gpu().shared[kernel]) return kInvalid;
  for (std::size_t i = 0; i < count; ++i)
    if (reinterpret_cast<std::uintptr_t>(before[i]) > nodes.size()) return kInvalid;
  const auto* params = static_cast<const std::byte*>(node->params[0]);
  Node copy{.kernel = kernel,
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
  drain();
  return delete object<std::vector<Node>>(executable), kOk;
}
Result cuGraphLaunch(Handle executable, Handle) {
  gpu().queue.emplace_back([=] { return run(*object<std::vector<Node>>(executable)); });
  return kOk;
}

}  // extern "C"
