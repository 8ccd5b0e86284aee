// What is used of the CUDA driver API, loaded when it is first needed: no header and no library of the
// toolkit. Names, types and numbers are those of NVIDIA's "CUDA Driver API" reference.
#pragma once

#include <cstddef>
#include <type_traits>

#include "runtime/gpu/library.h"

namespace medlar::runtime::cuda {

using Result = int;  // CUresult; 0 is success
using DevicePointer = unsigned long long;
using Handle = struct Opaque*;  // CUcontext, CUmodule, CUfunction, CUstream, CUevent, CUgraph, ...

inline constexpr Result kOutOfMemory = 2, kNotReady = 600;

// CU_EVENT_*. kSleep: threads that wait for the event sleep.
enum EventFlags : unsigned { kTimed = 0, kSleep = 1, kUntimed = 2 };

enum class Attribute : int { cores = 16, capability_major = 75, capability_minor = 76 };
enum class FunctionAttribute : int { shared_bytes = 8 };  // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES

// CUDA_KERNEL_NODE_PARAMS
struct KernelNode {
  Handle function = nullptr;
  unsigned grid_x = 1, grid_y = 1, grid_z = 1;
  unsigned block_x = 1, block_y = 1, block_z = 1;
  unsigned shared_bytes = 0;
  void** params = nullptr;
  void** extra = nullptr;
};

// CUgraphEdgeData; what it says in this state: the node may start when every threadgroup of the one before
// has called griddepcontrol.launch_dependents, and waits for its results by griddepcontrol.wait.
struct EdgeData {
  unsigned char from_port = 1;  // CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC
  unsigned char to_port = 0;
  unsigned char type = 1;  // CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC
  unsigned char reserved[5] = {};
};

// F(member, symbol, signature)
#define MEDLAR_CUDA_DRIVER(F)                                                                 \
  F(error_string, "cuGetErrorString", Result(Result, const char**))                           \
  F(init, "cuInit", Result(unsigned))                                                         \
  F(driver_version, "cuDriverGetVersion", Result(int*))                                       \
  F(device_count, "cuDeviceGetCount", Result(int*))                                           \
  F(device_get, "cuDeviceGet", Result(int*, int))                                             \
  F(device_name, "cuDeviceGetName", Result(char*, int, int))                                  \
  F(device_attribute, "cuDeviceGetAttribute", Result(int*, Attribute, int))                   \
  F(retain_context, "cuDevicePrimaryCtxRetain", Result(Handle*, int))                         \
  F(release_context, "cuDevicePrimaryCtxRelease_v2", Result(int))                             \
  F(set_context, "cuCtxSetCurrent", Result(Handle))                                           \
  F(memory, "cuMemGetInfo_v2", Result(std::size_t*, std::size_t*))                            \
  F(allocate, "cuMemAlloc_v2", Result(DevicePointer*, std::size_t))                           \
  F(release, "cuMemFree_v2", Result(DevicePointer))                                           \
  F(allocate_host, "cuMemHostAlloc", Result(void**, std::size_t, unsigned))                   \
  F(release_host, "cuMemFreeHost", Result(void*))                                             \
  F(set_bytes, "cuMemsetD8Async", Result(DevicePointer, unsigned char, std::size_t, Handle))  \
  F(copy_in, "cuMemcpyHtoDAsync_v2", Result(DevicePointer, const void*, std::size_t, Handle)) \
  F(copy_out, "cuMemcpyDtoHAsync_v2", Result(void*, DevicePointer, std::size_t, Handle))      \
  F(can_access, "cuDeviceCanAccessPeer", Result(int*, int, int))                              \
  F(enable_access, "cuCtxEnablePeerAccess", Result(Handle, unsigned))                         \
  F(copy_peer, "cuMemcpyPeerAsync",                                                           \
    Result(DevicePointer, Handle, DevicePointer, Handle, std::size_t, Handle))                \
  F(stream_wait, "cuStreamWaitEvent", Result(Handle, Handle, unsigned))                       \
  F(create_stream, "cuStreamCreate", Result(Handle*, unsigned))                               \
  F(destroy_stream, "cuStreamDestroy_v2", Result(Handle))                                     \
  F(wait_stream, "cuStreamSynchronize", Result(Handle))                                       \
  F(create_event, "cuEventCreate", Result(Handle*, unsigned))                                 \
  F(destroy_event, "cuEventDestroy_v2", Result(Handle))                                       \
  F(record_event, "cuEventRecord", Result(Handle, Handle))                                    \
  F(wait_event, "cuEventSynchronize", Result(Handle))                                         \
  F(query_event, "cuEventQuery", Result(Handle))                                              \
  F(elapsed, "cuEventElapsedTime", Result(float*, Handle, Handle))                            \
  F(load_module, "cuModuleLoadData", Result(Handle*, const void*))                            \
  F(unload_module, "cuModuleUnload", Result(Handle))                                          \
  F(get_function, "cuModuleGetFunction", Result(Handle*, Handle, const char*))                \
  F(set_attribute, "cuFuncSetAttribute", Result(Handle, FunctionAttribute, int))              \
  F(create_graph, "cuGraphCreate", Result(Handle*, unsigned))                                 \
  F(destroy_graph, "cuGraphDestroy", Result(Handle))                                          \
  F(add_kernel, "cuGraphAddKernelNode",                                                       \
    Result(Handle*, Handle, const Handle*, std::size_t, const KernelNode*))                   \
  F(instantiate, "cuGraphInstantiateWithFlags", Result(Handle*, Handle, unsigned long long))  \
  F(destroy_executable, "cuGraphExecDestroy", Result(Handle))                                 \
  F(launch, "cuGraphLaunch", Result(Handle, Handle))

// Not in the oldest drivers: null.
#define MEDLAR_CUDA_DRIVER_NEWER(F)         \
  F(add_edges, "cuGraphAddDependencies_v2", \
    Result(Handle, const Handle*, const Handle*, const EdgeData*, std::size_t))

class Driver {
 public:
  // Throws Error(device) where there is no driver, it is too old, or it does not start.
  Driver();

  // Throws Error(device), or Error(out_of_memory), saying what failed.
  void check(Result result, const char* doing) const;

 private:
  gpu::Library library_;

 public:
#define MEDLAR_MEMBER(member, symbol, ...) std::add_pointer_t<__VA_ARGS__> const member;
  MEDLAR_CUDA_DRIVER(MEDLAR_MEMBER)
  MEDLAR_CUDA_DRIVER_NEWER(MEDLAR_MEMBER)
#undef MEDLAR_MEMBER
};

}  // namespace medlar::runtime::cuda
