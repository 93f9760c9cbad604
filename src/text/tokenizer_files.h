// The files of a tokenizer → plain tables, checked: what comes out of here can be used without looking at it again.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/added_tokens.h"

namespace qwen {

// What the files say, strings as they are spelt there.
struct TokenizerTables {
  std::string source;                                       // the file to name in messages
  std::vector<std::pair<std::string, int64_t>> vocabulary;  // spelling (byte_level.h) → id, in file order
  std::vector<std::pair<std::string, std::string>> merges;  // by rank
  std::vector<AddedToken> added;
};

// tokenizer.json, else vocab.json or vocab.txt with merges.txt and tokenizer_config.json. Checks syntax, types and that
// the pipeline (NFC, Qwen's pattern, byte-level BPE without options) is the compiled-in one. Errors: kMissingFile,
// kBadData.
TokenizerTables read_tokenizer_files(const std::filesystem::path& model_dir);

TokenizerTables parse_tokenizer_json(std::string_view json, std::string_view source);

// `vocabulary`: the text of vocab.json or vocab.txt.
TokenizerTables parse_vocab_and_merges(std::string_view vocabulary, bool vocabulary_is_json, std::string_view merges,
                                       std::string_view tokenizer_config_json, std::string_view source);

}  // namespace qwen
