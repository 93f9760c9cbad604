// tokenizer.json: the input as it stands, and its three parts as further tokens, merges and added tokens of a tokenizer
// that is right.
#include "text/tokenizer_files.h"
#include "tokenizer_check.h"

namespace qwen::fuzz {
namespace {

void check_file(const std::string& json, std::string_view text) {
  if (!accepts(ErrorCode::kBadData, [&] { parse_tokenizer_json(json, "tokenizer.json"); })) return;
  static const ScratchFolder folder;
  folder.write("tokenizer.json", json);
  check_folder(folder, text);
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace qwen::fuzz;
  const std::string_view text = text_of(data, size);
  check_file(std::string(text), text);
  static const std::string base = byte_tokenizer().dump();
  const auto pieces = parts(text, 3);
  std::string json = spliced(base, "\"vocab\":{", pieces[0]);
  json = spliced(json, "\"merges\":[", pieces[1]);
  check_file(spliced(json, "\"added_tokens\":[", pieces[2]), text);
  return 0;
}
