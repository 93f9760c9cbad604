// What holds for every tokenizer that loads, and the parts to make one from: the tokenizer of tests/data/text without
// its merges.
#pragma once

#include <nlohmann/json.hpp>

#include "fuzz.h"
#include "support/scratch_folder.h"
#include "text/nfc.h"
#include "text/tokenizer.h"

namespace qwen::fuzz {

// Text that is encoded comes back, whatever the vocabulary, and every id is one of the vocabulary.
inline void check_tokenizer(const Tokenizer& tokenizer, std::string_view text) {
  const std::string valid = utf8_lossy(text.substr(0, 2048));
  std::string storage;
  const std::string_view normal = to_nfc(valid, storage);
  const std::vector<TokenId> ids = tokenizer.encode(valid, AddedTokens::kAsText);
  for (const TokenId id : ids) FUZZ_CHECK(id >= 0 && id < tokenizer.vocab_size() && !tokenizer.is_added(id));
  FUZZ_CHECK(tokenizer.decode(ids, false) == normal);
  for (const TokenId id : tokenizer.encode(valid)) {
    FUZZ_CHECK(id >= 0 && id < tokenizer.vocab_size() && !tokenizer.token_bytes(id).empty());
    if (tokenizer.is_added(id)) FUZZ_CHECK(tokenizer.token_id(tokenizer.token_bytes(id)) == id);
  }
}

// Loads the folder and checks what came out of it.
inline void check_folder(const ScratchFolder& folder, std::string_view text) {
  accepts(ErrorCode::kBadData, [&] { check_tokenizer(Tokenizer::load(folder.path()), text); });
}

// tokenizer.json with the 256 byte tokens alone.
inline const nlohmann::ordered_json& byte_tokenizer() {
  static const nlohmann::ordered_json result = [] {
    std::FILE* file = std::fopen(QWEN_SOURCE_DIR "/tests/data/text/tokenizer.json", "rb");
    FUZZ_CHECK(file != nullptr);
    nlohmann::ordered_json json = nlohmann::ordered_json::parse(file);
    std::fclose(file);
    nlohmann::ordered_json bytes;
    for (const auto& [spelling, id] : json["model"]["vocab"].items())
      if (id < 256) bytes[spelling] = id;
    json["model"]["vocab"] = bytes;
    json["model"]["merges"] = nlohmann::ordered_json::array();
    return json;
  }();
  return result;
}

// `json` with `more` at the end of the object or array that `opening` begins ("\"vocab\":{").
inline std::string spliced(std::string json, std::string_view opening, std::string_view more) {
  const size_t at = json.find(opening) + opening.size();
  const bool empty = json[at] == '}' || json[at] == ']';
  return more.empty() ? json : json.insert(at, std::string(more) + (empty ? "" : ","));
}

}  // namespace qwen::fuzz
