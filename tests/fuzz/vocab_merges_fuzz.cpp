// vocab.json (or vocab.txt), merges.txt and tokenizer_config.json, in this order: as they stand, and as additions to
// files that are right.
#include "text/tokenizer_files.h"
#include "tokenizer_check.h"

namespace qwen::fuzz {
namespace {

void check_files(const std::string& vocabulary, std::string_view merges, const std::string& config,
                 std::string_view text) {
  const bool json = vocabulary.starts_with('{');
  if (!accepts(ErrorCode::kBadData, [&] { parse_vocab_and_merges(vocabulary, json, merges, config, "folder"); }))
    return;
  const ScratchFolder folder;
  folder.write(json ? "vocab.json" : "vocab.txt", vocabulary);
  folder.write("merges.txt", merges);
  folder.write("tokenizer_config.json", config);
  check_folder(folder, text);
}

const std::string& base_vocabulary() {
  static const std::string text = byte_tokenizer()["model"]["vocab"].dump();
  return text;
}

const std::string& base_config() {
  static const std::string text = [] {
    nlohmann::ordered_json decoder;
    for (const auto& token : byte_tokenizer()["added_tokens"]) decoder[token["id"].dump()] = token;
    return nlohmann::ordered_json{{"added_tokens_decoder", decoder}}.dump();
  }();
  return text;
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace qwen::fuzz;
  const std::string_view text = text_of(data, size);
  const auto pieces = parts(text, 3);
  check_files(std::string(pieces[0]), pieces[1], std::string(pieces[2]), text);
  check_files(spliced(base_vocabulary(), "{", pieces[0]), pieces[1], spliced(base_config(), "decoder\":{", pieces[2]),
              text);
  return 0;
}
