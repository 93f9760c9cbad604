// Tokens one by one: what comes out is valid UTF-8 at every step, and joined it is the text of all tokens at once. Each
// byte of the input is a byte token, or with the next one any token. And UTF-8 itself: repairing pieces is repairing
// the whole.
#include "text/detokenizer.h"
#include "tokenizer_check.h"

namespace qwen::fuzz {
namespace {

constexpr unsigned char kAnyToken = 0x7f;

const Tokenizer& tokenizer() {
  static const Tokenizer result = Tokenizer::load(QWEN_SOURCE_DIR "/tests/data/text");
  return result;
}

const std::vector<TokenId>& byte_tokens() {
  static const std::vector<TokenId> result = [] {
    std::vector<TokenId> ids(256, -1);
    for (TokenId id = 0; id < tokenizer().vocab_size(); ++id)
      if (const auto bytes = tokenizer().token_bytes(id); bytes.size() == 1)
        ids[static_cast<unsigned char>(bytes[0])] = id;
    return ids;
  }();
  return result;
}

std::vector<TokenId> tokens_of(std::string_view text) {
  std::vector<TokenId> ids;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == kAnyToken && i + 1 < text.size())
      ids.push_back(static_cast<unsigned char>(text[++i]) * 3 - 20);  // also ids that no vocabulary has
    else
      ids.push_back(byte_tokens()[byte]);
  }
  return ids;
}

void check_stream(const std::vector<TokenId>& ids, bool skip_special) {
  Detokenizer detokenizer(tokenizer(), skip_special);
  std::string joined;
  for (const TokenId id : ids) {
    const std::string piece = detokenizer.push(id);
    FUZZ_CHECK(utf8_valid(piece));
    joined += piece;
  }
  joined += detokenizer.flush();
  FUZZ_CHECK(utf8_valid(joined));
  FUZZ_CHECK(joined == tokenizer().decode(ids, skip_special));
  FUZZ_CHECK(detokenizer.flush().empty());
}

void check_utf8(std::string_view text) {
  const std::string whole = utf8_lossy(text);
  FUZZ_CHECK(utf8_valid(whole) && utf8_valid(text) == (whole == text));
  std::string held, joined;
  for (const std::string_view piece : Choices(text).cut(text)) {
    held += piece;
    const size_t complete = utf8_complete_prefix(held);
    FUZZ_CHECK(held.size() - complete <= 3);
    joined += utf8_lossy(std::string_view(held).substr(0, complete));
    held.erase(0, complete);
  }
  FUZZ_CHECK(joined + utf8_lossy(held) == whole);
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace qwen::fuzz;
  const std::string_view text = text_of(data, size);
  for (const bool skip_special : {false, true}) check_stream(tokens_of(text), skip_special);
  check_utf8(text);
  check_tokenizer(tokenizer(), text);
  return 0;
}
