#include "server/cache/cached_answer.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

#include "base/hash.h"

namespace qwen {
namespace {

constexpr std::string_view kMagic = "QWENANS1";  // the last character is the version
constexpr size_t kDigestBytes = sizeof(uint64_t);

// Little-endian whatever the machine is: replicas share a Redis.
void append_u32(std::string& out, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(value >> shift));
}
void append_u64(std::string& out, uint64_t value) {
  append_u32(out, static_cast<uint32_t>(value));
  append_u32(out, static_cast<uint32_t>(value >> 32));
}

// Takes from the front; nothing, and never anything again, where too little is left.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : left_(bytes) {}

  std::string_view take(size_t count) {
    if (count > left_.size()) fits_ = false;
    if (!fits_) return {};
    const std::string_view taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return taken;
  }
  uint32_t u32() {
    uint32_t value = 0;
    int shift = 0;
    for (const char c : take(4)) {
      value |= static_cast<uint32_t>(static_cast<uint8_t>(c)) << shift;
      shift += 8;
    }
    return value;
  }
  uint64_t u64() {
    const uint64_t low = u32();
    return low | static_cast<uint64_t>(u32()) << 32;
  }
  bool fits() const { return fits_; }
  size_t left() const { return left_.size(); }

 private:
  std::string_view left_;
  bool fits_ = true;
};

std::optional<ThinkingEnd> storable_thinking_end(uint32_t value) {
  for (const ThinkingEnd end : {ThinkingEnd::kNone, ThinkingEnd::kBudget, ThinkingEnd::kLoop, ThinkingEnd::kLength})
    if (value == static_cast<uint32_t>(end)) return end;
  return std::nullopt;
}

}  // namespace

TokenEvent CachedAnswer::event(size_t at) const {
  TokenEvent event;
  if (at < tokens.size()) {
    event.id = tokens[at].id;
    event.logprob = tokens[at].logprob;
  }
  if (at + 1 == num_events()) event.finish_reason = finish_reason;
  return event;
}

std::string encode_answer(const CachedAnswer& answer, std::string_view key) {
  std::string out;
  out.reserve(kMaxEncodedAnswer - kMaxCachedTokens * sizeof(CachedToken) + answer.tokens.size() * 8);
  out.append(kMagic);
  append_u32(out, static_cast<uint32_t>(key.size()));
  out.append(key);
  append_u32(out, answer.finish_reason == FinishReason::kStop ? 0 : 1);
  append_u32(out, answer.end_has_token ? 1 : 0);
  append_u32(out, static_cast<uint32_t>(answer.thinking_end));
  append_u32(out, static_cast<uint32_t>(answer.prompt_tokens));
  append_u32(out, static_cast<uint32_t>(answer.tokens.size()));
  for (const CachedToken& token : answer.tokens) {
    append_u32(out, static_cast<uint32_t>(token.id));
    append_u32(out, std::bit_cast<uint32_t>(token.logprob));
  }
  append_u64(out, xxh64(out));
  return out;
}

CachedAnswerPtr decode_answer(std::string_view bytes, std::string_view key, int vocab_size, int prompt_tokens) {
  if (bytes.size() > kMaxEncodedAnswer || bytes.size() < kDigestBytes) return nullptr;
  const std::string_view signed_bytes = bytes.substr(0, bytes.size() - kDigestBytes);
  if (Bytes(bytes.substr(signed_bytes.size())).u64() != xxh64(signed_bytes)) return nullptr;
  Bytes in(signed_bytes);
  if (in.take(kMagic.size()) != kMagic || in.u32() != key.size() || in.take(key.size()) != key) return nullptr;
  const uint32_t reason = in.u32(), end_has_token = in.u32();
  const std::optional<ThinkingEnd> thinking_end = storable_thinking_end(in.u32());
  const uint32_t prompt = in.u32(), count = in.u32();
  const bool sane = in.fits() && reason <= 1 && end_has_token <= 1 && thinking_end &&
                    prompt == static_cast<uint32_t>(prompt_tokens) && count >= 1 && count <= kMaxCachedTokens &&
                    in.left() == size_t{count} * 8;
  if (!sane) return nullptr;
  auto answer = std::make_shared<CachedAnswer>();
  answer->finish_reason = reason == 0 ? FinishReason::kStop : FinishReason::kLength;
  answer->end_has_token = end_has_token == 1;
  answer->thinking_end = *thinking_end;
  answer->prompt_tokens = prompt_tokens;
  answer->tokens.resize(count);
  for (CachedToken& token : answer->tokens) {
    const uint32_t id = in.u32();
    token.logprob = std::bit_cast<float>(in.u32());
    if (id >= static_cast<uint32_t>(vocab_size) || !std::isfinite(token.logprob)) return nullptr;
    token.id = static_cast<TokenId>(id);
  }
  return answer;
}

}  // namespace qwen
