// Shapes that do not fit are refused, whatever was checked before.
#include "model/weight_loader.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "support/expect_error.h"
#include "support/fake_backend.h"

namespace qwen {
namespace {

class WeightLoaderTest : public testing::Test {
 protected:
  ErrorCode error_of(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kFailed;
  }

  Checkpoint checkpoint_ =
      Checkpoint::open(std::filesystem::path(QWEN_SOURCE_DIR) / "tests/data/tiny-models/bf16-tied-sharded");
  FakeBackend backend_{1 << 30, 1, 16};
  QuantizationConfig plain_;
  WeightLoader loader_{checkpoint_, plain_, {}, backend_, 1, {}};
  const std::string norm_ = "model.norm.weight";
  const std::string gate_ = "model.layers.0.mlp.gate_proj";
  const std::string up_ = "model.layers.0.mlp.up_proj";
};

TEST_F(WeightLoaderTest, StacksAlongTheOutputs) {
  const Shape shape = checkpoint_.find(gate_ + ".weight")->shape;
  const Matrix matrix = loader_.matrix({gate_, up_}, shape[1]);
  EXPECT_EQ(matrix.rows, 2 * shape[0]);
  EXPECT_EQ(matrix.cols, shape[1]);
}

TEST_F(WeightLoaderTest, WidensVectors) {
  const int64_t size = checkpoint_.find(norm_)->shape[0];
  const Tensor vector = loader_.vector({norm_, norm_}, 2 * size);
  const uint16_t* stored = checkpoint_.view(norm_).as<uint16_t>();
  for (int64_t i = 0; i < 2 * size; ++i) EXPECT_EQ(vector.buffer.as<float>()[i], bf16_to_f32(stored[i % size]));
}

TEST_F(WeightLoaderTest, RefusesOtherShapes) {
  const int64_t size = checkpoint_.find(norm_)->shape[0];
  EXPECT_EQ(error_of([&] { loader_.matrix({gate_}, 7); }), ErrorCode::kBadData);
  EXPECT_EQ(error_of([&] { loader_.matrix({"model.norm"}, size); }), ErrorCode::kBadData);
  EXPECT_EQ(error_of([&] { loader_.vector({norm_}, size - 1); }), ErrorCode::kBadData);
  EXPECT_EQ(error_of([&] { loader_.vector({norm_}, size + 1); }), ErrorCode::kBadData);
  EXPECT_EQ(error_of([&] { loader_.matrix({"no.such.module"}, 7); }), ErrorCode::kBadData);
}

TEST_F(WeightLoaderTest, NamesWhatTheBackendRefuses) {
  struct Refusing : FakeBackend {
    Refusing() : FakeBackend(1 << 30, 1, 16) {}
    Matrix prepare(std::span<const HostMatrix>, const QuantFormat&) override { throw Error(code, "cannot be"); }
    ErrorCode code = ErrorCode::kBadData;
  } refusing;
  WeightLoader loader(checkpoint_, plain_, {}, refusing, 1, {});
  const int64_t cols = checkpoint_.find(gate_ + ".weight")->shape[1];
  const auto load = [&] { loader.matrix({gate_, up_}, cols); };
  EXPECT_TRUE(fails_with(load, ErrorCode::kBadData,
                         "bf16-tied-sharded: model.layers.0.mlp.gate_proj+model.layers.0.mlp.up_proj: cannot be"));
  refusing.code = ErrorCode::kOs;
  EXPECT_EQ(error_of(load), ErrorCode::kOs);
}

}  // namespace
}  // namespace qwen
