// A libnvrtc.so for tests: what it compiles is the text itself, which the stub of the driver takes. With
// STUB_NVRTC_REFUSES it compiles nothing.
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

extern "C" {

int nvrtcCreateProgram(std::string** program, const char* text, const char*, int, const char* const*,
                       const char* const*) {
  *program = new std::string(text);
  return 0;
}
int nvrtcCompileProgram(std::string* program, int, const char* const* options) {
  if (std::getenv("STUB_NVRTC_REFUSES")) return 6;
  if (std::strcmp(options[0], "--gpu-architecture=sm_90a") != 0) return 5;
  return program->find("KERNEL(") == std::string::npos ? 6 : 0;
}
int nvrtcGetProgramLogSize(std::string*, std::size_t* size) { return *size = 1, 0; }
int nvrtcGetProgramLog(std::string*, char* log) { return *log = 0, 0; }
int nvrtcGetCUBINSize(std::string* program, std::size_t* size) { return *size = program->size() + 1, 0; }
int nvrtcGetCUBIN(std::string* program, char* to) {
  std::memcpy(to, program->c_str(), program->size() + 1);
  return 0;
}
int nvrtcDestroyProgram(std::string** program) { return delete *program, 0; }
const char* nvrtcGetErrorString(int) { return "stub error"; }

}  // extern "C"
