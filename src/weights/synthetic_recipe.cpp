// Chooses scale, bias and outlier channels by the tensor's name; the channels depend on the seed and the hidden size
// alone.
#include "weights/synthetic_recipe.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace qwen {
namespace {

constexpr double kLogitStd = 2.5;
constexpr double kSiluMulStd = 0.6;     // of silu(a)·b for standard normal a, b
constexpr double kAttentionStd = 0.5;   // what averaging over keys leaves of v
constexpr double kAddedByLayers = 0.5;  // to the residual stream, all layers together
constexpr double kQkNorm = 1.0;
constexpr double kNormSpread = 0.1;      // standard deviation of norm weights relative to their mean
constexpr double kOutlierAfterNorm = 8;  // times an ordinary activation
constexpr std::array<double, SyntheticTensor::kMaxOutliers> kOutlierGain = {256, 192, 320, 128, 384, 224, 288, 160};

struct Outliers {
  int count = 0;
  std::array<int32_t, SyntheticTensor::kMaxOutliers> channel{};
  double rms_growth = 1;  // RMS of the residual stream relative to its ordinary channels
};

Outliers choose_outliers(const SyntheticStyle& style) {
  Outliers outliers;
  if (!style.outliers) return outliers;
  const auto hidden = static_cast<uint64_t>(style.hidden_size);
  // Several of similar gain: the RMS of the stream then hardly depends on one token's value in one channel.
  outliers.count =
      static_cast<int>(std::min(std::clamp<int64_t>(style.hidden_size / 128, 4, 8), style.hidden_size / 8));
  double power = style.hidden_size - outliers.count;
  const auto begin = outliers.channel.begin();
  for (int i = 0; i < outliers.count; ++i) {
    auto channel =
        static_cast<int32_t>(synthetic_mix(synthetic_key(style.seed, "outliers") + static_cast<uint64_t>(i)) % hidden);
    while (std::find(begin, begin + i, channel) != begin + i)
      channel = static_cast<int32_t>((channel + 1) % style.hidden_size);
    outliers.channel[static_cast<size_t>(i)] = channel;
    power += kOutlierGain[static_cast<size_t>(i)] * kOutlierGain[static_cast<size_t>(i)];
  }
  outliers.rms_growth = std::sqrt(power / static_cast<double>(style.hidden_size));
  return outliers;
}

class Recipe {
 public:
  Recipe(std::string_view name, const Shape& shape, const SyntheticStyle& style)
      : name_(name), style_(style), outliers_(choose_outliers(style)) {
    tensor_.key = synthetic_key(style.seed, name);
    tensor_.cols = shape.rank() == 0 ? 1 : shape[shape.rank() - 1];
  }

  SyntheticTensor make() {
    const double fan_in = static_cast<double>(tensor_.cols);
    const double hidden = static_cast<double>(style_.hidden_size);
    const double residual = kAddedByLayers / std::sqrt(2.0 * static_cast<double>(style_.num_hidden_layers));
    if (ends_with("q_norm.weight") || ends_with("k_norm.weight")) return norm(kQkNorm);
    if (ends_with("norm.weight")) return residual_norm();
    if (ends_with("embed_tokens.weight"))
      return residual_writer(kLogitStd / std::sqrt(hidden), SyntheticTensor::kColumns);
    if (ends_with("lm_head.weight")) return normal(kLogitStd / std::sqrt(hidden));
    if (ends_with("o_proj.weight"))
      return residual_writer(residual / kAttentionStd / std::sqrt(fan_in), SyntheticTensor::kRows);
    if (ends_with("down_proj.weight"))
      return residual_writer(residual / kSiluMulStd / std::sqrt(fan_in), SyntheticTensor::kRows);
    if (ends_with(".bias")) return normal(0.1);
    return normal(1 / std::sqrt(fan_in));
  }

 private:
  bool ends_with(std::string_view suffix) const { return name_.ends_with(suffix); }

  static float noise_scale(double std) { return static_cast<float>(std / kSyntheticNoiseStd); }

  SyntheticTensor normal(double std) {
    tensor_.scale = noise_scale(std);
    return tensor_;
  }

  SyntheticTensor norm(double mean) {
    tensor_.bias = static_cast<int32_t>(std::lround(kSyntheticNoiseStd / kNormSpread));
    return normal(mean * kNormSpread);
  }

  template <typename ScaleOfGain>
  void set_outliers(SyntheticTensor::Axis axis, ScaleOfGain scale) {
    tensor_.outlier_axis = outliers_.count > 0 ? axis : SyntheticTensor::kNoOutliers;
    tensor_.num_outliers = outliers_.count;
    for (size_t i = 0; i < static_cast<size_t>(outliers_.count); ++i) {
      tensor_.outlier_index[i] = outliers_.channel[i];
      tensor_.outlier_scale[i] = scale(kOutlierGain[i]);
    }
  }

  SyntheticTensor residual_writer(double std, SyntheticTensor::Axis axis) {
    set_outliers(axis, [&](double gain) { return noise_scale(std * gain); });
    return normal(std);
  }

  // With a tied head the final norm meets the embedding's outlier columns a second time.
  SyntheticTensor residual_norm() {
    const bool before_tied_head = style_.tie_word_embeddings && name_ == "model.norm.weight";
    const double mean = outliers_.rms_growth;
    set_outliers(SyntheticTensor::kColumns, [&](double gain) {
      return noise_scale(kNormSpread * mean * kOutlierAfterNorm / (before_tied_head ? gain * gain : gain));
    });
    return norm(mean);
  }

  std::string_view name_;
  const SyntheticStyle& style_;
  Outliers outliers_;
  SyntheticTensor tensor_;
};

struct StoreF32 {
  using Element = float;
  static float convert(float value) { return value; }
};
struct StoreF16 {
  using Element = uint16_t;
  static uint16_t convert(float value) { return f32_to_f16(value); }
};
struct StoreBF16 {
  using Element = uint16_t;
  static uint16_t convert(float value) { return f32_to_bf16(value); }
};

// Rows without a branch per element; the few outlier columns are written a second time.
template <typename Store>
void fill(const SyntheticTensor& tensor, uint64_t begin, uint64_t end, typename Store::Element* out) {
  const auto cols = static_cast<uint64_t>(tensor.cols);
  for (uint64_t index = begin; index < end;) {
    const uint64_t row = index / cols, row_begin = row * cols, row_end = std::min(end, row_begin + cols);
    float scale = tensor.scale;
    if (tensor.outlier_axis == SyntheticTensor::kRows) {
      for (int i = 0; i < tensor.num_outliers; ++i)
        if (row == static_cast<uint64_t>(tensor.outlier_index[i])) scale = tensor.outlier_scale[i];
    }
    for (uint64_t i = index; i < row_end; ++i) out[i - begin] = Store::convert(synthetic_scaled(tensor, i, scale));
    if (tensor.outlier_axis == SyntheticTensor::kColumns) {
      for (int i = 0; i < tensor.num_outliers; ++i) {
        const uint64_t place = row_begin + static_cast<uint64_t>(tensor.outlier_index[i]);
        if (place >= index && place < row_end) out[place - begin] = Store::convert(synthetic_value(tensor, place));
      }
    }
    index = row_end;
  }
}

}  // namespace

SyntheticTensor synthetic_tensor(std::string_view name, const Shape& shape, const SyntheticStyle& style) {
  QWEN_CHECK(style.hidden_size > 0 && style.num_hidden_layers > 0);
  return Recipe(name, shape, style).make();
}

void fill_synthetic(const SyntheticTensor& tensor, uint64_t begin, uint64_t end, DType dtype, std::byte* out) {
  switch (dtype) {
    case DType::kF32:
      return fill<StoreF32>(tensor, begin, end, reinterpret_cast<float*>(out));
    case DType::kF16:
      return fill<StoreF16>(tensor, begin, end, reinterpret_cast<uint16_t*>(out));
    case DType::kBF16:
      return fill<StoreBF16>(tensor, begin, end, reinterpret_cast<uint16_t*>(out));
    default:
      QWEN_CHECK(!"synthetic weights are floats");
  }
}

}  // namespace qwen
