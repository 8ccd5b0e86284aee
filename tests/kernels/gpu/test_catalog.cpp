// The catalog, the sources and the emulator's functions tell the same story.
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "kernels/gpu/embedded.h"
#include "kernels/gpu/kernels.h"
#include "tests/kernels/gpu/harness.h"

namespace medlar::testing {
namespace {

TEST(GpuCatalog, EveryKernelRunsOnTheEmulator) {
  std::set<std::string_view> names;
  for (const gpu::KernelInfo& kernel : gpu::kernels()) {
    EXPECT_TRUE(names.insert(kernel.name).second) << kernel.name << " twice";
    const emulator::EmulatedKernel* emulated = emulator::find_kernel(kernel.name);
    const bool native = kernel.shared_bytes || kernel.file == std::string_view("kernels/gpu/linear_rows.h");
    if (!emulated && native && !emulator::find_kernel("linear_wgmma_1")) continue;  // Metal's text
    ASSERT_NE(emulated, nullptr) << kernel.name;
    EXPECT_EQ(emulated->threads, kernel.threads) << kernel.name;
  }
}

TEST(GpuCatalog, EveryFormatHasItsKernels) {
  for (DType type : weight_types()) {
    const std::string_view name = format_info(type).name;
    for (const char* pattern :
         {"embed_{}", "linear_vec_{}_1", "linear_vec_{}_4", "linear_vec_{}_8", "linear_rows_{}_16",
          "linear_tile_{}", "expert_vec_{}_1", "expert_vec_{}_8", "expert_tile_{}", "unpack_{}"})
      EXPECT_NE(gpu::find_kernel(fmt::format(fmt::runtime(pattern), name)), nullptr)
          << pattern << " " << name;
  }
  for (DType type : few_types())
    EXPECT_EQ(gpu::find_kernel(fmt::format("linear_few_{}", format_info(type).name)) != nullptr,
              format_info(type).block_length > 1);
  EXPECT_GE(few_types().size(), 16U);
  for (DType k : kv_types()) {
    EXPECT_NE(gpu::find_kernel(fmt::format("store_heads_{}", format_info(k).name)), nullptr);
    for (DType v : kv_types())
      EXPECT_NE(gpu::find_kernel(fmt::format("attention_{}_{}", format_info(k).name, format_info(v).name)),
                nullptr);
  }
}

// KERNEL(n) in the text is the number of threads that the catalog tells the host.
TEST(GpuCatalog, ThreadsAgreeWithTheText) {
  for (const gpu::KernelInfo& kernel : gpu::kernels()) {
    const std::string text(gpu::embedded_file(kernel.file));
    const std::string_view instance = kernel.instance;
    const std::string defined = instance.empty() ? std::string(kernel.name) + "\\(" : "NAME\\(";
    std::string from = text;
    if (!instance.empty())
      from = text.substr(text.find("#define " + std::string(instance.substr(0, instance.find('(')))));
    std::smatch match;
    ASSERT_TRUE(std::regex_search(
        from, match, std::regex("KERNEL(?:_RESIDENT)?\\((\\d+|THREADS).*\\)[\\s\\\\]*" + defined)))
        << kernel.name;
    // THREADS is the instance's last argument.
    const std::string threads =
        match[1] != "THREADS" ? match[1].str() : std::string(instance.substr(instance.rfind(',') + 1));
    EXPECT_EQ(static_cast<u32>(std::stoul(threads)), kernel.threads) << kernel.name;
  }
}

TEST(GpuCatalog, TextsStandAlone) {
  for (const gpu::KernelInfo& kernel : gpu::kernels()) {
    const std::string text = gpu::kernel_text({&kernel, 1});
    EXPECT_EQ(text.find("#include \""), std::string::npos) << kernel.name;
    EXPECT_EQ(text.find("#pragma once"), std::string::npos) << kernel.name;
    EXPECT_NE(text.find(kernel.name), std::string::npos);
  }
}

// The rules of docs/gpu-kernels.md that a search can check.
TEST(GpuCatalog, SourcesKeepTheRules) {
  const std::regex forbidden(
      R"(\bgoto\b|\bdouble\b|\bvirtual\b|\bnew\b|\bthrow\b|\btry\b|\bstd::|\bunion\b|\[[&=]\]|\bthread_local\b|\boperator\b)");
  std::set<std::string_view> files;
  for (const gpu::KernelInfo& kernel : gpu::kernels()) files.insert(kernel.file);
  for (const char* shared : {"kernels/gpu/common.h", "kernels/gpu/linear.h", "kernels/gpu/expert_linear.h",
                             "kernels/gpu/pages.h", "kernels/gpu/attention_parts.h", "kernels/gpu/few.h",
                             "kernels/gpu/flash_result.h", "kernels/gpu/flash_rows.h",
                             "kernels/gpu/flash_tile.h", "kernels/gpu/weights.h", "kernels/gpu/params.h"})
    files.insert(shared);
  for (const std::string_view file : files) {
    const std::string code =
        std::regex_replace(std::string(gpu::embedded_file(file)), std::regex("//[^\n]*"), "");
    std::smatch match;
    EXPECT_FALSE(std::regex_search(code, match, forbidden)) << file << ": " << match.str();
  }
}

// METAL_PRECEDENTS.md names each of Metal's own words that the prelude uses.
TEST(GpuCatalog, MetalWordsHavePrecedents) {
#ifndef MEDLAR_SOURCE_DIR
  GTEST_SKIP() << "built without the source folder's path";
#else
  std::ifstream file(MEDLAR_SOURCE_DIR "/kernels/gpu/prelude/METAL_PRECEDENTS.md");
  ASSERT_TRUE(file);
  const std::string precedents(std::istreambuf_iterator<char>(file), {});
  const std::string code = std::regex_replace(std::string(gpu::embedded_file("kernels/gpu/prelude/metal.h")),
                                              std::regex("//[^\n]*"), "");
  const std::regex words(
      R"(metal_\w+|simdgroup_\w+|thread\w*_in\w+|mem_flags::\w+|precise::\w+|as_type|\bf(ma|abs|max)\b|max_total\w+|thread_elements|make_filled\w+)");
  for (std::sregex_iterator it(code.begin(), code.end(), words), end; it != end; ++it)
    EXPECT_NE(precedents.find(it->str()), std::string::npos) << it->str();
#endif
}

}  // namespace
}  // namespace medlar::testing
