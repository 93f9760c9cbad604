// The sampling fields that every generating route shares, with their bounds.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/sampling_params.h"
#include "server/api/field_reader.h"

namespace qwen {

inline constexpr size_t kMaxStopStrings = 4, kMaxStopBytes = 256, kMaxLogitBias = 300;

struct SamplingFields {
  std::optional<double> temperature, top_p, min_p, repetition_penalty, presence_penalty, frequency_penalty;
  std::optional<int64_t> top_k;  // -1 and 0 = all
  std::optional<uint64_t> seed;  // negative ones wrap around
  std::vector<std::string> stop;
};

SamplingFields read_sampling_fields(FieldReader& fields);

// `defaults` with what was given; a missing seed is drawn at random. A temperature below 1e-5 is 0: greedy.
SamplingParams apply_sampling(const SamplingFields& fields, SamplingParams defaults);

}  // namespace qwen
