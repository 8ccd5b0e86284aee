// Model files with wrong hyperparameters, tensors or vocabularies are refused by the name of what is wrong.
#include <algorithm>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "checkpoint/gguf.h"
#include "checkpoint/gguf_writer.h"
#include "engine/engine.h"
#include "tests/support/tiny_model.h"

namespace medlar {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

class HostileModel : public ::testing::Test {
 protected:
  HostileModel() { testing::write_tiny_model(good_, {.architecture = "gemma3", .head_dim = 32}); }

  // The error of loading the good model after `edit` changed its metadata and `change` its tensors, of which
  // the first of f32 is there a second time if it gets another `name`.
  template <class Edit>
  std::string error_with(Edit&& edit, const std::function<void(gguf::Tensor&)>& change = nullptr,
                         const std::string& name = "") {
    const gguf::File file = gguf::File::open(good_);
    const auto path = folder_ / "bad.gguf";
    gguf::Writer writer(path);
    writer.copy(file.metadata());
    edit(writer);
    std::vector<gguf::Tensor> tensors(file.tensors().begin(), file.tensors().end());
    if (!name.empty()) {
      tensors.push_back(*std::ranges::find(tensors, DType::f32, [](const auto& t) { return t.view.type; }));
      tensors.back().name = name;
    }
    for (gguf::Tensor& t : tensors) {
      if (change) change(t);
      if (!t.name.empty()) writer.add_tensor(t.name, t.view.type, t.view.shape);
    }
    for (const gguf::Tensor& t : tensors)
      if (!t.name.empty()) writer.write(t.view.bytes);
    writer.finish();
    return load(path);
  }
  std::string load(const std::filesystem::path& path) {
    try {
      Engine::load(path, {.threads = 1});
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  template <class T>
  std::string error_with_key(const std::string& key, T value) {
    return error_with([&](gguf::Writer& w) { w.set(key, value); });
  }

  testing::TemporaryFolder folder_;
  std::filesystem::path good_ = folder_ / "good.gguf";
};

TEST_F(HostileModel, TheUnchangedModelLoads) {
  EXPECT_EQ(error_with([](gguf::Writer&) {}), "no error");
}

// A factor that would be left out is no small matter.
TEST_F(HostileModel, AScaleBesideNvfp4IsRefused) {
  testing::write_tiny_model(good_, {.type = DType::nvfp4, .ffn = 128});
  EXPECT_EQ(error_with([](gguf::Writer&) {}), "no error");
  EXPECT_THAT(error_with([](gguf::Writer&) {}, nullptr, "blk.1.ffn_up.scale"),
              HasSubstr("blk.1.ffn_up.scale multiplies blk.1.ffn_up.weight, which is not supported"));
}

TEST_F(HostileModel, EveryKeyWithEveryWrongTypeIsNamed) {
  const gguf::File file = gguf::File::open(good_);
  for (const gguf::Entry& entry : file.metadata().entries()) {
    const std::string key(entry.key);
    if (key == "general.name") continue;  // any text will do, and it is only shown
    const bool number = entry.type != gguf::ValueType::string && entry.type != gguf::ValueType::array &&
                        entry.type != gguf::ValueType::boolean;
    if (entry.type != gguf::ValueType::string) {
      EXPECT_THAT(error_with_key(key, std::string("text")), HasSubstr(key));
    }
    if (entry.type != gguf::ValueType::boolean) {
      EXPECT_THAT(error_with_key(key, true), HasSubstr(key));
    }
    if (!number) {
      EXPECT_THAT(error_with_key(key, 7.5), HasSubstr(key));
    }
    if (entry.type != gguf::ValueType::array) {
      const std::vector<std::int32_t> array = {1, 2, 3};
      EXPECT_THAT(error_with([&](gguf::Writer& w) { w.set_array<std::int32_t>(key, array); }),
                  HasSubstr(key));
    }
  }
}

TEST_F(HostileModel, HyperparametersOutOfRangeAreNamed) {
  for (const char* key :
       {"block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count",
        "attention.head_count_kv", "attention.key_length", "attention.value_length", "rope.dimension_count",
        "attention.sliding_window", "attention.sliding_window_pattern"}) {
    const std::string full = std::string("gemma3.") + key;
    for (std::int64_t value : {std::int64_t{0}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::min(),
                               std::numeric_limits<std::int64_t>::max()}) {
      const std::string error = error_with_key(full, value);
      EXPECT_THAT(error, HasSubstr(full)) << value;
    }
  }
  EXPECT_THAT(error_with_key("gemma3.block_count", std::uint32_t{1000000}), HasSubstr("gemma3.block_count"));
  EXPECT_THAT(error_with_key("gemma3.attention.head_count_kv", std::uint32_t{3}), HasSubstr("head_count_kv"));
  EXPECT_THAT(error_with_key("gemma3.rope.dimension_count", std::uint32_t{33}),
              HasSubstr("rope.dimension_count"));
  for (float bad :
       {0.0F, -1.0F, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
    EXPECT_THAT(error_with_key("gemma3.rope.freq_base", bad), HasSubstr("rope.freq_base"));
  EXPECT_THAT(error_with_key("gemma3.rope.scaling.type", std::string("magic")),
              HasSubstr("rope.scaling.type"));
}

TEST_F(HostileModel, HyperparametersThatDisagreeWithATensorNameIt) {
  EXPECT_THAT(error_with_key("gemma3.embedding_length", std::uint32_t{65}), HasSubstr("token_embd.weight"));
  EXPECT_THAT(error_with_key("gemma3.feed_forward_length", std::uint32_t{97}),
              HasSubstr("blk.0.ffn_gate.weight"));
  EXPECT_THAT(error_with_key("gemma3.block_count", std::uint32_t{3}), HasSubstr("blk.2.attn_norm.weight"));
  EXPECT_THAT(error_with_key("gemma3.attention.head_count", std::uint32_t{8}), HasSubstr("blk.0.attn_"));
  EXPECT_THAT(error_with_key("gemma3.attention.key_length", std::uint32_t{64}), HasSubstr("blk.0.attn_"));
}

TEST_F(HostileModel, EveryMissingTensorIsNamed) {
  const gguf::File file = gguf::File::open(good_);
  for (const gguf::Tensor& missing : file.tensors()) {
    const std::string error = error_with([](gguf::Writer&) {},
                                         [&](gguf::Tensor& t) {
                                           if (t.name == missing.name) t.name = "";
                                         });
    EXPECT_THAT(error, HasSubstr(std::string(missing.name)));
  }
}

TEST_F(HostileModel, ATensorOfAnotherShapeOrTypeIsNamed) {
  EXPECT_THAT(error_with([](gguf::Writer&) {},
                         [](gguf::Tensor& t) {
                           if (t.name == "blk.1.ffn_down.weight")
                             t.view.shape = {t.view.shape[1], t.view.shape[0]};
                         }),
              HasSubstr("blk.1.ffn_down.weight"));
  EXPECT_THAT(error_with([](gguf::Writer&) {},
                         [](gguf::Tensor& t) {
                           if (t.name != "blk.1.ffn_norm.weight") return;
                           t.view.type = DType::f16;
                           t.view.bytes = t.view.bytes.first(t.view.bytes.size() / 2);
                         }),
              HasSubstr("blk.1.ffn_norm.weight"));
}

class HostileExperts : public HostileModel {
 protected:
  HostileExperts() {
    testing::write_tiny_model(good_,
                              {.architecture = "qwen3moe", .head_dim = 32, .experts = 4, .experts_used = 2});
  }
};

TEST_F(HostileExperts, TheUnchangedModelLoads) {
  EXPECT_EQ(error_with([](gguf::Writer&) {}), "no error");
}

TEST_F(HostileExperts, HyperparametersOutOfRangeAreNamed) {
  for (const char* key :
       {"qwen3moe.expert_count", "qwen3moe.expert_used_count", "qwen3moe.expert_feed_forward_length"}) {
    for (const std::int64_t value :
         {std::int64_t{0}, std::int64_t{-1}, std::int64_t{5000000}, std::numeric_limits<std::int64_t>::min()})
      EXPECT_THAT(error_with_key(key, value), HasSubstr(key)) << value;
    EXPECT_THAT(error_with_key(key, std::string("text")), HasSubstr(key));
  }
  EXPECT_THAT(error_with_key("qwen3moe.expert_used_count", std::uint32_t{5}),
              HasSubstr("qwen3moe.expert_used_count: 5 is not from 1 to 4"));
}

TEST_F(HostileExperts, HyperparametersThatDisagreeWithATensorNameIt) {
  EXPECT_THAT(error_with_key("qwen3moe.expert_count", std::uint32_t{5}),
              HasSubstr("blk.0.ffn_gate_inp.weight is (4, 64), but the hyperparameters say (5, 64)"));
  EXPECT_THAT(error_with_key("qwen3moe.expert_feed_forward_length", std::uint32_t{95}),
              HasSubstr("blk.0.ffn_gate_exps.weight is (4, 96, 64)"));
}

TEST_F(HostileExperts, StacksOfAnotherShapeOrNoneAreNamed) {
  const gguf::File file = gguf::File::open(good_);
  for (const gguf::Tensor& missing : file.tensors()) {
    if (!missing.name.ends_with("_exps.weight") && !missing.name.ends_with("_inp.weight")) continue;
    EXPECT_THAT(error_with([](gguf::Writer&) {},
                           [&](gguf::Tensor& t) {
                             if (t.name == missing.name) t.name = "";
                           }),
                HasSubstr(std::string(missing.name)));
  }
  for (const Shape& wrong : {Shape{4 * 96, 64}, Shape{4, 64, 96}, Shape{2, 192, 64}, Shape{2, 2, 96, 64}})
    EXPECT_THAT(error_with([](gguf::Writer&) {},
                           [&](gguf::Tensor& t) {
                             if (t.name == "blk.1.ffn_up_exps.weight") t.view.shape = wrong;
                           }),
                HasSubstr("blk.1.ffn_up_exps.weight"));
}

TEST_F(HostileExperts, DenseArchitecturesRefuseExperts) {
  testing::write_tiny_model(good_, {.architecture = "qwen3", .head_dim = 32});
  EXPECT_THAT(error_with_key("qwen3.expert_count", std::uint32_t{4}), HasSubstr("qwen3 with experts"));
}

TEST_F(HostileExperts, RoutersWithoutNumbersGiveNoToken) {
  const gguf::File file = gguf::File::open(good_);
  std::vector<std::byte> nan(4 * 64 * sizeof(float), std::byte{0xFF});
  const std::string error = error_with([](gguf::Writer&) {},
                                       [&](gguf::Tensor& t) {
                                         if (t.name == "blk.0.ffn_gate_inp.weight") t.view.bytes = nan;
                                       });
  ASSERT_EQ(error, "no error");
  Session session = Engine::load(folder_ / "bad.gguf", {.threads = 2})->open_session();
  const std::vector<std::int32_t> tokens(20, 5);
  const Generation g = session.generate(tokens, {.max_tokens = 3});
  EXPECT_EQ(g.finish, FinishReason::no_token);
}

TEST_F(HostileModel, VocabulariesThatDoNotFitAreRefused) {
  const auto tokens = [&](std::vector<std::string> t) {
    return error_with([&](gguf::Writer& w) { w.set_array<std::string>("tokenizer.ggml.tokens", t); });
  };
  EXPECT_THAT(tokens({}), HasSubstr("tokenizer.ggml.tokens"));
  EXPECT_THAT(tokens({"a", "b", "c"}), HasSubstr("tokenizer.ggml"));
  EXPECT_THAT(error_with_key("tokenizer.ggml.eos_token_id", std::uint32_t{262}), HasSubstr("eos_token_id"));
  EXPECT_THAT(error_with_key("tokenizer.ggml.bos_token_id", std::uint32_t{4000000000}),
              HasSubstr("bos_token_id"));
  EXPECT_THAT(error_with_key("tokenizer.ggml.pre", std::string("no-such-splitter")),
              HasSubstr("no-such-splitter"));
  EXPECT_THAT(error_with_key("tokenizer.ggml.model", std::string("no-such-model")),
              HasSubstr("no-such-model"));
  EXPECT_THAT(error_with_key("tokenizer.chat_template", std::string("{% if %}")), HasSubstr("template"));
}

TEST_F(HostileModel, FilesThatAreNoModelsAreRefused) {
  const gguf::File file = gguf::File::open(good_);
  gguf::Writer writer(folder_ / "empty.gguf");
  writer.set("general.name", std::string("nothing"));
  writer.finish();
  EXPECT_THAT(load(folder_ / "empty.gguf"), HasSubstr("general.architecture"));
  EXPECT_THAT(load(folder_.path()), HasSubstr(folder_.path().string()));
}

}  // namespace
}  // namespace medlar
