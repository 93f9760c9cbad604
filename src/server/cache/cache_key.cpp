#include "server/cache/cache_key.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>

#include "base/hash.h"

namespace qwen {
namespace {

// Of the fields below. To be raised when they, or what is computed from them, change within one version.
constexpr int64_t kKeyVersion = 2;

// Every field has its length or a fixed size: no two lists of fields are the same bytes.
class KeyBytes {
 public:
  KeyBytes& text(std::string_view value) {
    number(static_cast<int64_t>(value.size()));
    bytes_.append(value);
    return *this;
  }
  KeyBytes& number(int64_t value) { return raw(static_cast<uint64_t>(value)); }
  KeyBytes& real(float value) { return raw(std::bit_cast<uint32_t>(value == 0 ? 0.0f : value)); }  // -0 is 0
  KeyBytes& ids(std::span<const TokenId> values) {
    number(static_cast<int64_t>(values.size()));
    for (const TokenId id : values) number(id);
    return *this;
  }
  std::string digest() const { return sha256_hex(bytes_); }

 private:
  KeyBytes& raw(uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) bytes_.push_back(static_cast<char>(value >> shift));
    return *this;
  }
  std::string bytes_;
};

void add_sampling(KeyBytes& key, const SamplingParams& sampling, bool seed_chosen, int sample) {
  const bool greedy = sampling.temperature == 0;
  key.number(greedy);
  if (!greedy) {  // a filter never drops the most likely token, which greedy takes
    key.real(sampling.temperature).number(sampling.top_k).real(sampling.top_p).real(sampling.min_p);
    key.number(seed_chosen).number(seed_chosen ? static_cast<int64_t>(sampling.seed) : sample);
  }
  key.real(sampling.repetition_penalty).real(sampling.presence_penalty).real(sampling.frequency_penalty);
  key.number(sampling.max_tokens).number(sampling.min_tokens).number(sampling.ignore_eos);
  key.ids(sampling.stop_token_ids);
  std::vector<std::pair<TokenId, float>> bias = sampling.logit_bias;
  std::stable_sort(bias.begin(), bias.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  key.number(static_cast<int64_t>(bias.size()));
  for (const auto& [id, value] : bias) key.number(id).real(value);
}

void add_thinking(KeyBytes& key, const ThinkingRequest* thinking, const OutputPlan& plan) {
  key.number(plan.max_tokens).number(plan.max_answer_tokens);
  key.number(thinking != nullptr);
  if (thinking == nullptr) return;
  key.number(thinking->budget).number(thinking->loop_guard).number(thinking->ensure_answer);
  key.number(plan.answer_reserve);
}

}  // namespace

std::string cache_key(const CacheKeyFields& fields) {
  KeyBytes key;
  key.number(kKeyVersion).text(QWEN_VERSION).text(fields.fingerprint).text(fields.salt).ids(fields.prompt);
  add_sampling(key, fields.sampling, fields.seed_chosen, fields.sample);
  key.number(static_cast<int64_t>(fields.stop.size()));
  for (const std::string& stop : fields.stop) key.text(stop);
  key.number(fields.starts_in_thought).number(fields.separate_thought);
  add_thinking(key, fields.thinking, fields.plan);
  return key.digest();
}

}  // namespace qwen
