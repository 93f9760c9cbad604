#include "text/tokenizer_files.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/mapped_file.h"
#include "base/quote.h"
#include "text/pretokenizer.h"
#include "text/tokenizer_config.h"
#include "text/tokenizer_json.h"

namespace qwen {
namespace {

// The real files are 11 MB (tokenizer.json), 2.8 MB and 1.7 MB.
constexpr size_t kMaxFileBytes = size_t{128} << 20;
constexpr size_t kMaxAddedTokens = 4096;

[[noreturn]] void bad(std::string_view source, const std::string& problem) {
  throw Error(ErrorCode::kBadData, str(source, ": ", problem));
}

// The flat fields of tokenizer.json (tokenizer_json.h) and what they must be.
class Fields {
 public:
  Fields(const std::map<std::string, std::string>& fields, std::string_view source)
      : fields_(fields), source_(source) {}

  std::string_view get(const std::string& path) const {
    const auto field = fields_.find(path);
    return field == fields_.end() ? std::string_view() : std::string_view(field->second);
  }

  void require(const std::string& path, std::string_view wanted) const {
    if (get(path) != wanted) refuse(path, wanted);
  }

  void require_unless_absent(const std::string& path, std::string_view wanted) const {
    const std::string_view value = get(path);
    if (!value.empty() && value != "null" && value != wanted) refuse(path, wanted);
  }

 private:
  static std::string shown(std::string_view value) {
    if (value.empty()) return "missing";
    return value[0] == '"' ? quote(value.substr(1)) : quote(value);
  }

  [[noreturn]] void refuse(const std::string& path, std::string_view wanted) const {
    bad(source_,
        str(path, " is ", shown(get(path)), "; only a Qwen3 tokenizer can be read, where it is ", shown(wanted)));
  }

  const std::map<std::string, std::string>& fields_;
  std::string_view source_;
};

void check_pipeline(const Fields& fields) {
  fields.require("normalizer.type", "\"NFC");
  fields.require("pre_tokenizer.type", "\"Sequence");
  const std::string steps = "pre_tokenizer.pretokenizers.";
  fields.require(steps + "0.type", "\"Split");
  fields.require(steps + "0.pattern.Regex", str('"', kQwenPattern));
  fields.require(steps + "0.behavior", "\"Isolated");
  fields.require_unless_absent(steps + "0.invert", "false");
  fields.require(steps + "1.type", "\"ByteLevel");
  fields.require(steps + "1.add_prefix_space", "false");
  fields.require(steps + "1.use_regex", "false");
  fields.require(steps + "2.type", "");
  fields.require_unless_absent("post_processor.type", "\"ByteLevel");
  fields.require("decoder.type", "\"ByteLevel");
  fields.require_unless_absent("model.type", "\"BPE");
  fields.require_unless_absent("model.dropout", "null");
  fields.require_unless_absent("model.continuing_subword_prefix", "\"");
  fields.require_unless_absent("model.end_of_word_suffix", "\"");
  fields.require_unless_absent("model.byte_fallback", "false");
  fields.require_unless_absent("model.ignore_merges", "false");
}

std::optional<TokenId> parse_id(std::string_view text) {
  TokenId id = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id < 0) return std::nullopt;
  return id;
}

std::vector<AddedToken> added_tokens(const Fields& fields, std::string_view source) {
  std::vector<AddedToken> tokens;
  for (size_t i = 0;; ++i) {
    const std::string path = str("added_tokens.", i);
    const std::string_view content = fields.get(path + ".content"), id_text = fields.get(path + ".id");
    if (content.empty() && id_text.empty()) break;
    const std::optional<TokenId> id = parse_id(id_text);
    if (!id) bad(source, str(path, ".id is not a token id"));
    if (content.size() < 2 || content[0] != '"') bad(source, str(path, ".content is not a non-empty string"));
    for (const char* flag : {".single_word", ".lstrip", ".rstrip"}) fields.require_unless_absent(path + flag, "false");
    tokens.push_back({std::string(content.substr(1)), *id, fields.get(path + ".special") == "true"});
    if (tokens.size() > kMaxAddedTokens) bad(source, str("more than ", kMaxAddedTokens, " added_tokens"));
  }
  return tokens;
}

std::vector<AddedToken> added_tokens_decoder(std::string_view config_json, std::string_view source) {
  const JsonValue config = parse_tokenizer_config(config_json, source);
  const JsonValue* decoder = config.find("added_tokens_decoder");
  if (decoder == nullptr || !decoder->is_object())
    bad(source, "added_tokens_decoder is missing: without tokenizer.json it is needed");
  if (decoder->members.size() > kMaxAddedTokens)
    bad(source, str("more than ", kMaxAddedTokens, " added_tokens_decoder entries"));
  std::vector<AddedToken> tokens;
  for (const JsonMember& member : decoder->members) {
    const std::string path = "added_tokens_decoder." + quote(member.key);
    const std::optional<TokenId> id = parse_id(member.key);
    const JsonValue* content = member.value.find("content");
    if (!id) bad(source, str(path, ": the key is not a token id"));
    if (content == nullptr || !content->is_string() || content->text.empty())
      bad(source, str(path, ".content is not a non-empty string"));
    for (const char* flag : {"single_word", "lstrip", "rstrip"}) {
      const JsonValue* value = member.value.find(flag);
      if (value != nullptr && value->is_true()) bad(source, str(path, ".", flag, " is true, which is not supported"));
    }
    const JsonValue* special = member.value.find("special");
    tokens.push_back({content->text, *id, special != nullptr && special->is_true()});
  }
  return tokens;
}

// Calls line(text, number from 1) for each line, without its end.
template <typename Callback>
void for_each_line(std::string_view text, const Callback& line) {
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    std::string_view content = text.substr(0, end);
    if (!content.empty() && content.back() == '\r') content.remove_suffix(1);
    line(content, number);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

}  // namespace

TokenizerTables parse_tokenizer_json(std::string_view json, std::string_view source) {
  TokenizerJson file = read_tokenizer_json(json, "model.vocab", source);
  const Fields fields(file.fields, source);
  check_pipeline(fields);
  return {std::string(source), std::move(file.vocabulary), std::move(file.merges), added_tokens(fields, source)};
}

TokenizerTables parse_vocab_and_merges(std::string_view vocabulary, bool vocabulary_is_json, std::string_view merges,
                                       std::string_view tokenizer_config_json, std::string_view source) {
  TokenizerTables tables;
  tables.source = source;
  if (vocabulary_is_json) {
    tables.vocabulary = read_tokenizer_json(vocabulary, "", str(source, "/vocab.json")).vocabulary;
  } else {
    for_each_line(vocabulary, [&](std::string_view line, size_t number) {
      if (number > kMaxTokens) bad(source, str("vocab.txt: more than ", kMaxTokens, " lines"));
      tables.vocabulary.emplace_back(std::string(line), static_cast<int64_t>(number) - 1);
    });
  }
  for_each_line(merges, [&](std::string_view line, size_t number) {
    if (line.empty() || (number == 1 && line.substr(0, 8) == "#version")) return;
    if (number > kMaxMerges) bad(source, str("merges.txt: more than ", kMaxMerges, " lines"));
    tables.merges.push_back(split_merge(line, source, str("merges.txt line ", number)));
  });
  tables.added = added_tokens_decoder(tokenizer_config_json, str(source, "/tokenizer_config.json"));
  return tables;
}

TokenizerTables read_tokenizer_files(const std::filesystem::path& dir) {
  std::error_code ignored;
  const auto exists = [&](const char* name) { return std::filesystem::exists(dir / name, ignored); };
  if (exists("tokenizer.json")) {
    const std::filesystem::path path = dir / "tokenizer.json";
    return parse_tokenizer_json(read_text_file(path, kMaxFileBytes), path.string());
  }
  const bool vocab_json = exists("vocab.json");
  if (!vocab_json && !exists("vocab.txt"))
    throw Error(
        ErrorCode::kMissingFile,
        str(dir.string(),
            " has no tokenizer: tokenizer.json, or vocab.json and merges.txt and tokenizer_config.json, is needed"));
  const std::string vocabulary = read_text_file(dir / (vocab_json ? "vocab.json" : "vocab.txt"), kMaxFileBytes);
  const std::string merges = read_text_file(dir / "merges.txt", kMaxFileBytes);
  const std::string config = read_text_file(dir / "tokenizer_config.json", kMaxTokenizerConfigBytes);
  return parse_vocab_and_merges(vocabulary, vocab_json, merges, config, dir.string());
}

}  // namespace qwen
