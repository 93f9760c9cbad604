// What a peer that should be a Redis sends, in pieces: one reply as the definition has it, or a refusal, and never a
// reply that is larger than what was sent.
#include "fuzz.h"
#include "server/cache/redis_protocol.h"

namespace qwen::fuzz {
namespace {

void check(std::string_view input) {
  RedisReplyReader reader;
  try {
    size_t fed = 0;
    for (const std::string_view piece : Choices(input).cut(input)) {
      fed += piece.size();
      const auto reply = reader.feed(piece);
      if (!reply) continue;
      FUZZ_CHECK(reply->text.size() < fed);
      const std::string_view whole = input.substr(0, fed);
      switch (reply->kind) {
        case RedisReply::Kind::kText:
          FUZZ_CHECK(whole.starts_with('$') && whole.substr(0, fed - 2).ends_with(reply->text));  // hiredis skips two
          break;
        case RedisReply::Kind::kStatus:
          FUZZ_CHECK(whole == '+' + reply->text + "\r\n");
          break;
        case RedisReply::Kind::kError:
          FUZZ_CHECK(whole == '-' + reply->text + "\r\n");
          break;
        case RedisReply::Kind::kNil:
        case RedisReply::Kind::kInteger:
          FUZZ_CHECK(reply->text.empty());
          break;
      }
      return;
    }
  } catch (const RedisFailure& failure) {
    check_message(failure.what());
  }
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  qwen::fuzz::check(qwen::fuzz::text_of(data, size));
  return 0;
}
