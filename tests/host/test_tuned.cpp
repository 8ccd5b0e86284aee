// The store of tuned settings: kept by machine and model; whatever else stands there is told, not obeyed.
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "host/tuned.h"

namespace medlar::host {
namespace {

namespace fs = std::filesystem;

class TunedTest : public testing::Test {
 protected:
  TunedTest() { fs::remove_all(folder_); }
  ~TunedTest() override { fs::remove_all(folder_); }

  fs::path folder_ = fs::path(testing::TempDir()) / fmt::format("medlar-tuned-{}", getpid());
  TunedEntry entry_{.machine = "a machine",
                    .model = "a model",
                    .name = "smollm2:135m",
                    .settings = {.threads = 3, .batch = 256, .kv_type = DType::f16, .gpu_layers = 20},
                    .created = "2026-01-01T00:00:00Z",
                    .gain = 1.25};
};

TEST_F(TunedTest, KeepsOneEntryForEachMachineModelAndDevice) {
  EXPECT_FALSE(has_tuned(folder_));
  TunedStore(folder_).put(entry_);
  EXPECT_TRUE(has_tuned(folder_));
  TunedStore kept(folder_);
  TunedEntry other = entry_;
  other.machine = "another machine", other.settings = {.threads = 8};
  kept.put(other);
  const auto found = kept.find("a machine", "a model", Device::cpu);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->settings, entry_.settings);
  EXPECT_EQ(found->name, "smollm2:135m");
  EXPECT_DOUBLE_EQ(found->gain, 1.25);
  EXPECT_EQ(kept.find("another machine", "a model", Device::cpu)->settings, (tune::Settings{.threads = 8}));
  EXPECT_FALSE(kept.find("a machine", "another model", Device::cpu));
  EXPECT_FALSE(kept.find("a machine", "a model", Device::emulator));
  other = entry_;
  other.device = Device::emulator, other.settings.gpu_layers = 0;
  kept.put(other);
  EXPECT_EQ(kept.find("a machine", "a model", Device::emulator)->settings.gpu_layers, 0);

  entry_.settings.batch = 128;
  kept.put(entry_);
  EXPECT_EQ(kept.find("a machine", "a model", Device::cpu)->settings.batch, 128);
  EXPECT_EQ(kept.list().size(), 3U);
  EXPECT_TRUE(kept.forget("a machine", "a model", Device::cpu));
  EXPECT_FALSE(kept.forget("a machine", "a model", Device::cpu));
  EXPECT_EQ(kept.list().size(), 2U);
}

TEST_F(TunedTest, WhatMakesNoSenseIsAnError) {
  TunedStore kept(folder_);
  for (const tune::Settings bad :
       {tune::Settings{.threads = 0}, tune::Settings{.threads = 1 << 20}, tune::Settings{.batch = -5},
        tune::Settings{.kv_type = DType::q2_k}, tune::Settings{.gpu_layers = -2}}) {
    entry_.settings = bad;
    kept.put(entry_);
    EXPECT_THROW(kept.find("a machine", "a model", Device::cpu), Error);
  }
}

TEST_F(TunedTest, ADamagedFileIsToldOrSetAside) {
  fs::create_directories(folder_);
  std::ofstream(folder_ / "tuned.db") << std::string(5000, 'x');
  EXPECT_THROW(TunedStore{folder_}, Error);
  const KeptSettings nothing = kept_settings(folder_, "no model.gguf", Device::automatic);
  EXPECT_FALSE(nothing.settings);
  EXPECT_THAT(nothing.problem, testing::HasSubstr("tuned.db"));
  TunedStore(folder_, Logger()).put(entry_);
  EXPECT_EQ(TunedStore(folder_).list().size(), 1U);
}

TEST_F(TunedTest, WithoutAFileNothingIsTouched) {
  const KeptSettings nothing = kept_settings(folder_, "no model.gguf", Device::automatic);
  EXPECT_FALSE(nothing.settings);
  EXPECT_TRUE(nothing.problem.empty());
  EXPECT_FALSE(fs::exists(folder_));
}

TEST(TunedModel, IsItsShapesAndTypes) {
  ModelDescription d{.name = "one", .architecture = "llama", .layers = 2, .dim = 64};
  d.types = {{.type = DType::q4_0, .tensors = 3, .bytes = 900}};
  ModelDescription other = d;
  other.name = "another";
  EXPECT_EQ(tuned_model(d), tuned_model(other));
  other.types[0].bytes = 901;
  EXPECT_NE(tuned_model(d), tuned_model(other));
}

}  // namespace
}  // namespace medlar::host
