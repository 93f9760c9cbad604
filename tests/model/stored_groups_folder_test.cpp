// GPTQ and AWQ folders as exporters write them, and as damage or a mixed-up folder leaves them: each is loaded as what
// its definition says, or refused in words that name the tensor.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "backend/create.h"
#include "model/model_driver.h"
#include "model/registry.h"
#include "support/expect_error.h"
#include "support/scratch_folder.h"
#include "support/stored_groups.h"
#include "support/tiny_checkpoint.h"
#include "weights/safetensors_writer.h"

namespace qwen {
namespace {

using Logits = std::vector<std::vector<float>>;
using Order = StoredGroups::Order;

const std::vector<TokenId> kPrompt = {1, 17, 300, 42, 511, 8};
constexpr int kGroup = 32;
constexpr const char* kGptq = R"({"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": true})";
constexpr const char* kAwq = R"({"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"})";

struct Stored {
  DType dtype;
  Shape shape;
  std::vector<std::byte> bytes;

  template <typename T>
  T* as() {
    return reinterpret_cast<T*>(bytes.data());
  }
};
using Tensors = std::map<std::string, Stored>;

Stored stored(const TensorView& view) {
  return {view.dtype, view.shape, std::vector<std::byte>(view.data, view.data + view.size_bytes())};
}

Logits logits_of(const ScratchFolder& folder, const std::string& kernels) {
  const ModelConfig config = ModelConfig::load(folder.path());
  const auto model = load_model(Checkpoint::open(folder.path()), config,
                                create_backend({.kernels = kernels, .threads = 2}), {32, 32, 64});
  return ModelDriver(*model, 64).append(kPrompt, 32);
}

double distance(const Logits& actual, const Logits& expected) {
  double error = 0, norm = 0;
  for (size_t row = 0; row < expected.size(); ++row) {
    for (size_t i = 0; i < expected[row].size(); ++i) {
      error += std::pow(double{actual[row][i]} - expected[row][i], 2);
      norm += std::pow(double{expected[row][i]}, 2);
    }
  }
  return std::sqrt(error / norm);
}

// A model of random groups, spelled plainly and as a quantized folder.
class StoredGroupsFolder : public testing::Test {
 protected:
  StoredGroupsFolder() { make(Order::kPlain, false); }

  // `differing`: the parts of a stack are in orders of their own.
  void make(Order order, bool differing) {
    plain_.clear(), gptq_.clear(), awq_.clear();
    const TinyCheckpoint base(model_);
    const Checkpoint checkpoint = Checkpoint::open(base.folder());
    uint32_t seed = 0;
    for (const NamedShape& tensor : tiny_tensors(model_)) {
      const Stored as_is = stored(checkpoint.view(tensor.name));
      plain_.emplace(tensor.name, as_is);
      if (tensor.name.find("_proj") == std::string::npos) {
        gptq_.emplace(tensor.name, as_is);
        awq_.emplace(tensor.name, as_is);
        continue;
      }
      const std::string module = tensor.name.substr(0, tensor.name.size() - 7);
      StoredGroups groups(static_cast<int>(tensor.shape[0]), static_cast<int>(tensor.shape[1]), kGroup, 4,
                          Order::kPlain, ++seed);
      std::mt19937 random(differing ? seed : 99);
      if (order == Order::kShuffled) std::shuffle(groups.g_idx.begin(), groups.g_idx.end(), random);
      const std::vector<float> values = groups.values();
      plain_[tensor.name] = stored(view_of(DType::kF32, tensor.shape, values));
      const StoredGptq gptq(groups, 1, true, DType::kF16);
      add(gptq_, module, gptq.matrix);
      gptq_.emplace(module + ".g_idx", stored(gptq.matrix.g_idx));
      if (order == Order::kPlain) add(awq_, module, StoredAwq(groups, DType::kF16).matrix);
    }
  }

  static void add(Tensors& tensors, const std::string& module, const HostMatrix& matrix) {
    tensors.emplace(module + ".qweight", stored(matrix.weight));
    tensors.emplace(module + ".qzeros", stored(matrix.zeros));
    tensors.emplace(module + ".scales", stored(matrix.scales));
  }

  static void write(const ScratchFolder& folder, const Tensors& tensors, const std::string& quantization) {
    TinyModel model = model_;
    if (!quantization.empty()) model.extra_config = "\"quantization_config\": " + quantization;
    folder.write("config.json", tiny_config_json(model));
    SafetensorsWriter writer(folder.path() / "model.safetensors");
    for (const auto& [name, tensor] : tensors) writer.declare(name, tensor.dtype, tensor.shape);
    writer.begin();
    for (const auto& [name, tensor] : tensors) writer.write(tensor.bytes);
    writer.finish();
  }

  // Served as what plain_ says: exactly so by the reference kernels, nearly so by the others.
  void expect_loads(const Tensors& tensors, const std::string& quantization) {
    const ScratchFolder plain, quantized;
    write(plain, plain_, "");
    write(quantized, tensors, quantization);
    const Logits expected = logits_of(plain, "reference");
    EXPECT_LT(distance(logits_of(quantized, "reference"), expected), 1e-5);
    EXPECT_LT(distance(logits_of(quantized, "auto"), expected), 0.15);
  }

  testing::AssertionResult refused(const Tensors& tensors, const std::string& quantization, const std::string& words) {
    const ScratchFolder folder;
    write(folder, tensors, quantization);
    const auto named = fails_with([&] { logits_of(folder, "auto"); }, ErrorCode::kBadData, words.c_str());
    if (!named) return named;
    return fails_with([&] { logits_of(folder, "auto"); }, ErrorCode::kBadData, folder.path().filename().c_str());
  }
  testing::AssertionResult refused(const std::string& tensor, const std::function<void(Stored&)>& change,
                                   const std::string& words) {
    Tensors tensors = gptq_;
    change(tensors.at(tensor));
    return refused(tensors, kGptq, words);
  }

  static inline const TinyModel model_{.tie_word_embeddings = false, .dtype = DType::kF32};
  Tensors plain_, gptq_, awq_;
  const std::string attention_ = "model.layers.1.self_attn.", down_ = "model.layers.1.mlp.down_proj";
};

TEST_F(StoredGroupsFolder, GroupsInOrderNeedNoIndices) {
  expect_loads(gptq_, kGptq);
  expect_loads(awq_, kAwq);
  std::erase_if(gptq_, [&](const auto& tensor) { return tensor.first == attention_ + "k_proj.g_idx"; });
  expect_loads(gptq_, kGptq);
  std::erase_if(gptq_, [](const auto& tensor) { return tensor.first.ends_with(".g_idx"); });
  expect_loads(gptq_, kGptq);
}

TEST_F(StoredGroupsFolder, AnyOrderOfGroupsLoads) {
  make(Order::kShuffled, false);
  expect_loads(gptq_, kGptq);
  make(Order::kShuffled, true);
  expect_loads(gptq_, kGptq);
}

// Groups of other sizes than group_size: none of the kernels' forms, so they are multiplied as what they stand for.
TEST_F(StoredGroupsFolder, GroupsOfUnequalSizesLoad) {
  const std::string o = attention_ + "o_proj";
  int32_t* const g_idx = gptq_.at(o + ".g_idx").as<int32_t>();
  StoredGroups groups(64, 128, kGroup, 4, Order::kPlain, 5);
  for (int col = 0; col < 128; ++col) g_idx[col] = groups.g_idx[static_cast<size_t>(col)] = col < 100 ? 2 : 0;
  const StoredGptq again(groups, 1, true, DType::kF16);
  gptq_.erase(o + ".qweight"), gptq_.erase(o + ".qzeros"), gptq_.erase(o + ".scales");
  add(gptq_, o, again.matrix);
  const std::vector<float> values = groups.values();
  plain_[o + ".weight"] = stored(view_of(DType::kF32, {64, 128}, values));
  expect_loads(gptq_, kGptq);
}

// What modules_to_not_convert, dynamic exclusions and older exporters leave plain, heads that are quantized too.
TEST_F(StoredGroupsFolder, LayersMayBePlainAndHeadsQuantized) {
  for (auto [tensors, quantization] : {std::pair(&gptq_, kGptq), std::pair(&awq_, kAwq)}) {
    std::erase_if(*tensors, [&](const auto& tensor) {
      return tensor.first.starts_with(down_) || tensor.first.starts_with(attention_ + "k_proj");
    });
    for (const std::string& name : {down_ + ".weight", attention_ + "k_proj.weight"})
      tensors->emplace(name, plain_.at(name));
  }
  const StoredGroups head(512, 64, kGroup, 4, Order::kPlain, 7);
  const std::vector<float> values = head.values();
  plain_["lm_head.weight"] = stored(view_of(DType::kF32, {512, 64}, values));
  gptq_.erase("lm_head.weight"), awq_.erase("lm_head.weight");
  add(gptq_, "lm_head", StoredGptq(head, 1, false, DType::kF16).matrix);
  add(awq_, "lm_head", StoredAwq(head, DType::kF16).matrix);
  expect_loads(gptq_, kGptq);
  expect_loads(awq_,
               R"({"quant_method": "awq", "bits": 4, "group_size": 32, "modules_to_not_convert": ["down_proj"]})");
}

TEST_F(StoredGroupsFolder, ScalesMayBeZero) {
  for (const std::string& module : {down_, attention_ + "q_proj"}) {
    Stored& scales = gptq_.at(module + ".scales");
    std::fill(scales.bytes.begin(), scales.bytes.end(), std::byte{0});
    Stored& plain = plain_.at(module + ".weight");
    std::fill(plain.bytes.begin(), plain.bytes.end(), std::byte{0});
  }
  expect_loads(gptq_, kGptq);
}

TEST_F(StoredGroupsFolder, DamagedPartsAreNamed) {
  const std::string q = attention_ + "q_proj";
  for (const uint16_t bits : {uint16_t{0x7c00}, uint16_t{0xfc00}, uint16_t{0x7e00}})
    EXPECT_TRUE(refused(
        q + ".scales", [&](Stored& t) { t.as<uint16_t>()[100] = bits; },
        "q_proj.scales: a weight is not finite; the file is damaged, download it again"));
  EXPECT_TRUE(refused(
      q + ".scales",
      [](Stored& t) {
        t = {DType::kF32, t.shape, std::vector<std::byte>(t.bytes.size() * 2, std::byte{0xff})};
      },
      "q_proj.scales: a weight is not finite"));
  for (const int32_t group : {-1, 2, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min()})
    EXPECT_TRUE(refused(
        q + ".g_idx", [&](Stored& t) { t.as<int32_t>()[63] = group; }, "q_proj.g_idx[63] is"));
  EXPECT_TRUE(refused(
      q + ".g_idx",
      [](Stored& t) {
        t.shape = {63};
        t.bytes.resize(63 * 4);
      },
      "q_proj.g_idx is [63] of int32 but must be [64]"));
  EXPECT_TRUE(refused(
      q + ".g_idx",
      [](Stored& t) {
        t = {DType::kI64, t.shape, std::vector<std::byte>(64 * 8)};
      },
      "q_proj.g_idx is [64] of int64"));
  EXPECT_TRUE(refused(
      down_ + ".qzeros",
      [](Stored& t) {
        t.shape = {4, 8};
        t.bytes.resize(4 * 8 * 4);
      },
      "down_proj.qzeros is [4, 8] of int32 but must be [5, 8]"));
  EXPECT_TRUE(refused(
      down_ + ".scales",
      [](Stored& t) {
        t.shape = {64, 5};
      },
      "down_proj.scales is [64, 5]"));
  EXPECT_TRUE(refused(
      down_ + ".qweight",
      [](Stored& t) {
        t.shape = {64, 20};
      },
      "in gptq format, config.json makes it [64, 160]"));
  EXPECT_TRUE(refused(
      down_ + ".qweight", [](Stored& t) { t.shape = {20 * 64}; }, "down_proj is [1280]"));
  EXPECT_TRUE(refused(
      down_ + ".qweight",
      [](Stored& t) {
        t.shape = {0, 64};
        t.bytes.clear();
      },
      "down_proj.qweight\": shape has a dimension of 0"));
}

TEST_F(StoredGroupsFolder, MissingPartsAreNamed) {
  for (const char* part : {"qweight", "qzeros", "scales"}) {
    for (auto [tensors, quantization] : {std::pair(gptq_, kGptq), std::pair(awq_, kAwq)}) {
      tensors.erase(str(down_, '.', part));
      const std::string words =
          std::string(part) == "qweight" ? "down_proj.weight is missing" : str(part, " is missing");
      EXPECT_TRUE(refused(tensors, quantization, words)) << part;
    }
  }
}

// The tensors are sound, but of another model, or the configuration is another one's.
TEST_F(StoredGroupsFolder, ConfigurationsOfOthersAreRefused) {
  const auto gptq = [](int bits, int64_t group) {
    return str(R"({"quant_method": "gptq", "bits": )", bits, R"(, "group_size": )", group, "}");
  };
  EXPECT_TRUE(refused(gptq_, gptq(8, 32), "in gptq format, config.json makes it"));
  EXPECT_TRUE(refused(gptq_, gptq(3, 32), "quantization_config.bits"));
  EXPECT_TRUE(refused(gptq_, gptq(4, 64), "down_proj.qzeros is [5, 8] of int32 but must be [3, 8]"));
  EXPECT_TRUE(refused(gptq_, gptq(4, -1), "qzeros is ["));
  EXPECT_TRUE(refused(gptq_, gptq(4, 1 << 20), "take weights and config.json of one model"));
  EXPECT_TRUE(refused(gptq_, gptq(4, 0), "quantization_config.group_size"));
  EXPECT_TRUE(refused(gptq_, gptq(4, -2), "quantization_config.group_size"));
  EXPECT_TRUE(refused(gptq_, gptq(4, int64_t{1} << 62), "quantization_config.group_size"));
  EXPECT_TRUE(refused(gptq_, kAwq, "in awq format, config.json makes it"));
  EXPECT_TRUE(refused(awq_, kGptq, "in gptq format, config.json makes it"));
  EXPECT_TRUE(refused(gptq_, "", "q_proj.weight is missing"));
  EXPECT_TRUE(refused(gptq_, R"({"quant_method": "fp8"})", "q_proj.weight is missing"));
  EXPECT_TRUE(refused(gptq_, R"({"quant_method": "compressed-tensors"})", "take the unquantized model"));
}

}  // namespace
}  // namespace qwen
