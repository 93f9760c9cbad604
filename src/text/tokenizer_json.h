// One pass over tokenizer.json (or vocab.json): the two big tables as flat lists, everything else as path → value. A
// DOM of the real file's 450,000 strings would take several times as long.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qwen {

struct TokenizerJson {
  std::vector<std::pair<std::string, int64_t>> vocabulary;  // in file order, keys unchecked
  std::vector<std::pair<std::string, std::string>> merges;
  // "normalizer.type" → "\"NFC": strings carry a quotation mark in front, other scalars are as JSON spells them. Array
  // elements have their index as a path part.
  std::map<std::string, std::string> fields;
};

inline constexpr size_t kMaxTokens = size_t{1} << 20;
inline constexpr size_t kMaxMerges = size_t{1} << 21;

// `vocabulary_path` "model.vocab" for tokenizer.json (merges are then at model.merges, "a b" or ["a","b"]); "" where
// the whole document is the vocabulary. Memory is bounded by a small multiple of the document's size. Errors: kBadData
// naming `source` and the field.
TokenizerJson read_tokenizer_json(std::string_view json, std::string_view vocabulary_path, std::string_view source);

// Splits "left right"; throws kBadData where it is not two non-empty words. `what` names the entry.
std::pair<std::string, std::string> split_merge(std::string_view line, std::string_view source, std::string_view what);

}  // namespace qwen
