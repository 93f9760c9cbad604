#include "server/api/sampling_fields.h"

#include <algorithm>
#include <limits>
#include <random>

#include "base/error.h"

namespace qwen {
namespace {

constexpr float kGreedyBelow = 1e-5f;  // dividing by less overflows logits that f32 can hold
constexpr float kSmallestTopP = 1e-6f;

std::vector<std::string> read_stop(FieldReader& fields) {
  const JsonValue* value = fields.any("stop");
  if (value == nullptr) return {};
  const std::string must =
      str("be a string or a list of at most ", kMaxStopStrings, " strings of 1 to ", kMaxStopBytes, " bytes");
  std::vector<std::string> stops;
  const auto add = [&](const JsonValue& item) {
    if (!item.is_string() || item.text.empty() || item.text.size() > kMaxStopBytes)
      throw_invalid(fields.param("stop"), must);
    stops.push_back(item.text);
  };
  if (value->is_array()) {
    if (value->items.size() > kMaxStopStrings) throw_invalid(fields.param("stop"), must);
    for (const JsonValue& item : value->items) add(item);
  } else {
    add(*value);
  }
  return stops;
}

uint64_t random_seed() {
  thread_local std::mt19937_64 generator{[] {
    std::random_device device;
    return static_cast<uint64_t>(device()) << 32 | device();
  }()};
  return generator();
}

}  // namespace

SamplingFields read_sampling_fields(FieldReader& fields) {
  SamplingFields sampling;
  sampling.temperature = fields.number("temperature", 0, 2);
  sampling.top_p = fields.number_above("top_p", 0, 1);
  sampling.top_k = fields.integer("top_k", -1, std::numeric_limits<int32_t>::max());
  sampling.min_p = fields.number("min_p", 0, 1);
  sampling.repetition_penalty = fields.number("repetition_penalty", 0.01, 10);
  sampling.presence_penalty = fields.number("presence_penalty", -2, 2);
  sampling.frequency_penalty = fields.number("frequency_penalty", -2, 2);
  if (const auto seed =
          fields.integer("seed", std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()))
    sampling.seed = static_cast<uint64_t>(*seed);
  sampling.stop = read_stop(fields);
  return sampling;
}

SamplingParams apply_sampling(const SamplingFields& fields, SamplingParams params) {
  const auto set = [](float& target, const std::optional<double>& value) {
    if (value) target = static_cast<float>(*value);
  };
  set(params.temperature, fields.temperature);
  set(params.top_p, fields.top_p);
  set(params.min_p, fields.min_p);
  set(params.repetition_penalty, fields.repetition_penalty);
  set(params.presence_penalty, fields.presence_penalty);
  set(params.frequency_penalty, fields.frequency_penalty);
  if (fields.top_k) params.top_k = static_cast<int>(std::max<int64_t>(*fields.top_k, 0));
  if (params.temperature < kGreedyBelow) params.temperature = 0;
  params.top_p = std::max(params.top_p, kSmallestTopP);
  params.seed = fields.seed ? *fields.seed : random_seed();
  return params;
}

}  // namespace qwen
