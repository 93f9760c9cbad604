// A folder of quantized weights computes what quantizing at load computes, to the bit; a wrong one is named.
#include "model/integer_folder.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <optional>
#include <vector>

#include "backend/create.h"
#include "model/model_driver.h"
#include "model/quantized_config.h"
#include "model/registry.h"
#include "support/expect_error.h"
#include "support/scratch_folder.h"
#include "support/tiny_checkpoint.h"
#include "weights/safetensors_writer.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;
using Logits = std::vector<std::vector<float>>;

const std::vector<TokenId> kPrompt = {1, 17, 300, 42, 511, 8};

Logits logits_of(const fs::path& folder, const WeightFormats& formats, const std::string& kernels) {
  const ModelConfig config = ModelConfig::load(folder);
  const Checkpoint checkpoint = Checkpoint::open(folder);
  const auto model =
      load_model(checkpoint, config, create_backend({.kernels = kernels, .threads = 2}), {32, 32, 64, formats});
  return ModelDriver(*model, 64).append(kPrompt, 32);
}

WeightFormats stored_formats(const fs::path& folder) {
  const QuantizationConfig quantization = ModelConfig::load(folder).quantization;
  return {quantization.format, quantization.head};
}

void write_folder(const fs::path& model, const fs::path& out, const WeightFormats& formats) {
  ModelFolderWriter writer(out, true);
  const auto backend = create_backend({.threads = 2});
  uint64_t last = 0, end = 0;
  write_integer_folder(Checkpoint::open(model), ModelConfig::load(model), formats, *backend, writer,
                       [&](uint64_t done, uint64_t total) {
                         EXPECT_GT(done, last);
                         last = done;
                         end = total;
                       });
  EXPECT_EQ(last, end);
  writer.finish(integer_config_json(model, formats));
}

TEST(IntegerFolder, ComputesWhatQuantizingAtLoadComputes) {
  const ScratchFolder scratch;
  for (const bool tied : {true, false}) {
    for (const DType dtype : {DType::kBF16, DType::kF32, DType::kF16}) {
      const TinyCheckpoint model(
          {.tie_word_embeddings = tied, .attention_bias = !tied, .dtype = dtype, .outliers = true});
      for (const char* name : {"int8", "int4", "int4-g64"}) {
        for (const bool plain_head : {false, true}) {
          WeightFormats formats = weight_formats(name);
          if (plain_head) formats.head = {};
          const fs::path out = scratch.path() / "out";
          write_folder(model.folder(), out, formats);
          EXPECT_EQ(stored_format_name(ModelConfig::load(out).quantization), name);
          for (const std::string& kernels : available_kernels())
            EXPECT_EQ(logits_of(out, stored_formats(out), kernels), logits_of(model.folder(), formats, kernels))
                << name << ' ' << kernels << ' ' << dtype_name(dtype) << tied << plain_head;
        }
      }
    }
  }
}

TEST(IntegerFolder, QuantizedOrOddSourcesAreRefused) {
  const ScratchFolder scratch;
  const TinyCheckpoint model({.dtype = DType::kBF16});
  const fs::path out = scratch.path() / "out", again = scratch.path() / "again";
  write_folder(model.folder(), out, weight_formats("int8"));
  EXPECT_TRUE(fails_with([&] { write_folder(out, again, weight_formats("int4")); }, ErrorCode::kBadData,
                         "is quantized already"));
  EXPECT_FALSE(fs::exists(again));
  const TinyCheckpoint odd({.intermediate_size = 161});
  EXPECT_TRUE(fails_with([&] { write_folder(odd.folder(), again, weight_formats("int4")); }, ErrorCode::kBadData,
                         "down_proj.weight has 161 columns"));
  write_folder(odd.folder(), again, weight_formats("int8"));
  EXPECT_EQ(logits_of(again, stored_formats(again), "auto"), logits_of(odd.folder(), weight_formats("int8"), "auto"));
}

class HostileFolder : public testing::Test {
 protected:
  struct Stored {
    std::string name;
    DType dtype;
    Shape shape;
  };

  // The folder with other tensors, of zeros, and another quantization_config.
  testing::AssertionResult fails(const std::function<void(Stored&)>& change, const char* words,
                                 const WeightFormats& config = weight_formats("int4")) {
    const Checkpoint checkpoint = Checkpoint::open(good_);
    const ScratchFolder bad;
    SafetensorsWriter writer(bad.path() / "model.safetensors");
    for (const TensorInfo& info : checkpoint.tensors()) {
      Stored tensor{info.name, info.dtype, info.shape};
      change(tensor);
      if (!tensor.name.empty()) writer.declare(tensor.name, tensor.dtype, tensor.shape);
    }
    writer.begin();
    writer.write(std::vector<std::byte>(writer.data_bytes()));
    writer.finish();
    bad.write("config.json", integer_config_json(model_.folder(), config));
    return fails_with([&] { logits_of(bad.path(), config, "auto"); }, ErrorCode::kBadData, words);
  }

  void SetUp() override { write_folder(model_.folder(), good_, weight_formats("int4")); }

  const TinyCheckpoint model_{{.dtype = DType::kBF16}};
  const ScratchFolder scratch_;
  const fs::path good_ = scratch_.path() / "good";
};

TEST_F(HostileFolder, IsNamed) {
  const std::string down = "model.layers.1.mlp.down_proj", embedding = "model.embed_tokens";
  const auto at = [](const std::string& name, const std::function<void(Stored&)>& change) {
    return [=](Stored& tensor) {
      if (tensor.name == name) change(tensor);
    };
  };
  EXPECT_TRUE(fails(at(down + ".scales", [](Stored& t) { t.name = ""; }), "down_proj.scales is missing"));
  EXPECT_TRUE(fails(at(down + ".qweight", [](Stored& t) { t.name = ""; }), "down_proj.weight is missing"));
  EXPECT_TRUE(fails(at(down + ".scales", [](Stored& t) { t.shape = {64, 3}; }), "down_proj.scales is [64, 3]"));
  EXPECT_TRUE(
      fails(at(down + ".scales", [](Stored& t) { t.dtype = DType::kF32; }), "down_proj.scales is [64, 2] of float32"));
  EXPECT_TRUE(fails(at(down + ".qweight",
                       [](Stored& t) {
                         t.shape = {64, 81};
                       }),
                    "down_proj is [64, 162] in int4 format, config.json makes it [64, 160]"));
  EXPECT_TRUE(fails(at(down + ".qweight", [](Stored& t) { t.shape = {64 * 80}; }), "down_proj is [5120]"));
  EXPECT_TRUE(
      fails(at(down + ".qweight", [](Stored& t) { t.dtype = DType::kI32; }), "down_proj.qweight is [64, 80] of int32"));
  EXPECT_TRUE(fails(at(down + ".qweight",
                       [](Stored& t) {
                         t.dtype = DType::kI8;
                         t.shape = {64, 160};
                       }),
                    "down_proj.qweight holds int8 weights"));
  EXPECT_TRUE(fails(at(embedding + ".qweight",
                       [](Stored& t) {
                         t.dtype = DType::kU8;
                         t.shape = {512, 32};
                       }),
                    "model.embed_tokens.qweight holds int4 weights"));
  EXPECT_TRUE(fails([](Stored&) {}, "scales is [", weight_formats("int4-g64")));
  EXPECT_TRUE(fails([](Stored&) {}, "in int8 format, config.json makes it", weight_formats("int8")));
}

TEST(IntegerFolder, RefusesNumbersThatAreNone) {
  const ScratchFolder scratch;
  const auto backend = create_backend({});
  for (const DType dtype : {DType::kBF16, DType::kF32, DType::kF16}) {
    const TinyCheckpoint model({.dtype = dtype});
    {
      std::fstream file(model.folder() / "model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(-4, std::ios::end);
      file.write("\xff\xff\xff\xff", 4);
    }
    ModelFolderWriter writer(scratch.path() / "out", true);
    EXPECT_TRUE(fails_with(
        [&] {
          write_integer_folder(Checkpoint::open(model.folder()), ModelConfig::load(model.folder()),
                               weight_formats("int8"), *backend, writer, {});
        },
        ErrorCode::kBadData, "weight: a weight is not finite; the file is damaged"));
  }
}

TEST(IntegerConfig, IsRangeChecked) {
  const auto parse = [](const std::string& quantization) {
    return [=] {
      ModelConfig::parse(tiny_config_json({.extra_config = "\"quantization_config\": " + quantization}), "config.json");
    };
  };
  const auto with = [](const char* bits, const char* group, const char* rotation, const char* head) {
    return str(R"({"quant_method": "qwen_thinking", "bits": )", bits, R"(, "group_size": )", group, R"(, "rotation": )",
               rotation, R"(, "head_bits": )", head, "}");
  };
  EXPECT_NO_THROW(parse(with("4", "64", "\"hadamard\"", "16"))());
  const auto fails = [&](const std::string& json, const char* words) {
    return fails_with(parse(json), ErrorCode::kBadData, words);
  };
  EXPECT_TRUE(fails(with("5", "128", "\"hadamard\"", "8"), "quantization_config.bits is 5; allowed is 4 or 8"));
  EXPECT_TRUE(fails(with("8", "64", "\"hadamard\"", "8"), "quantization_config.group_size is 64; allowed is 128"));
  EXPECT_TRUE(fails(with("4", "0", "\"hadamard\"", "8"), "quantization_config.group_size is 0"));
  EXPECT_TRUE(
      fails(with("4", "96", "\"hadamard\"", "8"), "quantization_config.group_size is 96; allowed is 128 or 64"));
  EXPECT_TRUE(fails(with("4", "128", "\"none\"", "8"), "quantization_config.rotation is \"none\""));
  EXPECT_TRUE(fails(with("4", "128", "\"hadamard\"", "4"), "quantization_config.head_bits is 4; allowed is 8 or 16"));
  EXPECT_TRUE(fails(R"({"quant_method": "qwen_thinking"})", "quantization_config.bits is missing"));
}

}  // namespace
}  // namespace qwen
