#include "text/tokenizer.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/hash.h"
#include "base/quote.h"
#include "base/utf8.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/byte_level.h"
#include "text/nfc.h"
#include "text/pretokenizer.h"
#include "text/tokenizer_files.h"

namespace qwen {
namespace {

constexpr size_t kMaxTextBytes = size_t{1} << 30;  // positions within a piece are 32 bits wide

[[noreturn]] void bad(const std::string& source, const std::string& problem) {
  throw Error(ErrorCode::kBadData,
              str(source, ": ", problem, "; the tokenizer's files are damaged or do not belong together"));
}

enum : unsigned char { kAbsent = 0, kBase = 1, kAdded = 2, kSpecial = 3 };

}  // namespace

struct Tokenizer::Impl {
  std::string bytes;             // of all tokens, by id
  std::vector<uint32_t> begins;  // [vocab_size + 1] into `bytes`
  std::vector<unsigned char> kinds;
  AddedTokenMatcher added;
  BpeMerges merges{{}, 0};
  uint64_t fingerprint = 0;

  size_t longest = 1;  // bytes of any token

  // Each appends to `out` and is false where it gave up, because there are more than `most` tokens in all.
  bool encode_run(std::string_view raw, size_t most, std::vector<TokenId>& out) const;
  bool encode(std::string_view text, AddedTokens mode, size_t most, std::vector<TokenId>& out) const;
  bool encode(std::span<const TextSegment> segments, size_t most, std::vector<TokenId>& out) const;
};

namespace {

using IdBySpelling = std::unordered_map<std::string_view, TokenId>;

// id → (bytes, kind), with every id's claim checked.
struct TokenList {
  std::vector<std::string> bytes;
  std::vector<unsigned char> kinds;
};

TokenList list_tokens(const TokenizerTables& tables, IdBySpelling& ids) {
  const size_t count = tables.vocabulary.size() + tables.added.size();
  const size_t limit = 2 * count + 1024;  // ids may have gaps, but a table is not made of them
  TokenList tokens;
  const auto claim = [&](int64_t id, std::string_view text, unsigned char kind) -> std::string& {
    if (id < 0 || static_cast<size_t>(id) >= limit)
      bad(tables.source, str("token ", quote(text), " has id ", id, ", outside 0 to ", limit - 1));
    const auto index = static_cast<size_t>(id);
    if (index >= tokens.kinds.size()) {
      tokens.kinds.resize(index + 1, kAbsent);
      tokens.bytes.resize(index + 1);
    }
    if (tokens.kinds[index] != kAbsent) bad(tables.source, str("two tokens have id ", id, ", one is ", quote(text)));
    tokens.kinds[index] = kind;
    return tokens.bytes[index];
  };

  std::unordered_map<std::string_view, TokenId> added;
  for (const AddedToken& token : tables.added) {
    if (!added.emplace(token.text, token.id).second)
      bad(tables.source, str("added token ", quote(token.text), " is there twice"));
    claim(token.id, token.text, token.special ? kSpecial : kAdded) = token.text;
  }
  for (const char* needed : {"<|im_start|>", "<|im_end|>"})
    if (!added.contains(needed)) bad(tables.source, str("the added token ", needed, " is missing"));

  ids.reserve(tables.vocabulary.size());
  for (const auto& [spelling, id] : tables.vocabulary) {
    const auto same = added.find(spelling);
    if (same != added.end() && same->second == id) continue;  // some exporters list added tokens in both places
    if (spelling.empty() || !ids.emplace(spelling, static_cast<TokenId>(id)).second)
      bad(tables.source, str("token ", quote(spelling), " is empty or there twice"));
    if (!append_byte_level(spelling, claim(id, spelling, kBase)))
      bad(tables.source, str("token ", quote(spelling), " is not spelt in byte-level characters"));
  }
  return tokens;
}

std::array<TokenId, 256> single_bytes(const TokenList& tokens, const std::string& source) {
  std::array<TokenId, 256> ids;
  ids.fill(-1);
  for (size_t id = 0; id < tokens.bytes.size(); ++id)
    if (tokens.kinds[id] == kBase && tokens.bytes[id].size() == 1)
      ids[static_cast<unsigned char>(tokens.bytes[id][0])] = static_cast<TokenId>(id);
  const auto missing = std::find(ids.begin(), ids.end(), -1);
  if (missing != ids.end()) bad(source, str("no token for the single byte ", missing - ids.begin()));
  return ids;
}

BpeMerges list_merges(const TokenizerTables& tables, const IdBySpelling& ids, const std::array<TokenId, 256>& bytes,
                      uint64_t& fingerprint) {
  BpeMerges merges(bytes, tables.merges.size());
  const auto id_of = [&](const std::string& spelling) {
    const auto id = ids.find(spelling);
    if (id == ids.end())
      bad(tables.source,
          str("merge ", merges.size(), " needs token ", quote(spelling), ", which the vocabulary lacks"));
    return id->second;
  };
  std::string joined;
  std::vector<TokenId> triples;
  triples.reserve(tables.merges.size() * 3);
  for (const auto& [left, right] : tables.merges) {
    joined.assign(left).append(right);
    const TokenId triple[3] = {id_of(left), id_of(right), id_of(joined)};
    if (!merges.add(triple[0], triple[1], triple[2]))
      bad(tables.source, str("merge ", merges.size(), " (", quote(left), " ", quote(right), ") is there twice"));
    triples.insert(triples.end(), triple, triple + 3);
  }
  // Little-endian, as every machine that this runs on.
  fingerprint = xxh64({reinterpret_cast<const char*>(triples.data()), triples.size() * sizeof(TokenId)}, fingerprint);
  return merges;
}

}  // namespace

Tokenizer Tokenizer::load(const std::filesystem::path& model_dir) {
  const TokenizerTables tables = read_tokenizer_files(model_dir);
  auto impl = std::make_unique<Impl>();
  IdBySpelling ids;
  TokenList tokens = list_tokens(tables, ids);

  impl->begins.reserve(tokens.bytes.size() + 1);
  for (const std::string& bytes : tokens.bytes) {
    impl->begins.push_back(static_cast<uint32_t>(impl->bytes.size()));
    impl->bytes += bytes;
    impl->longest = std::max(impl->longest, bytes.size());
  }
  impl->begins.push_back(static_cast<uint32_t>(impl->bytes.size()));
  impl->kinds = tokens.kinds;

  uint64_t hash = xxh64(impl->bytes);
  hash = xxh64({reinterpret_cast<const char*>(impl->begins.data()), impl->begins.size() * sizeof(uint32_t)}, hash);
  hash = xxh64({reinterpret_cast<const char*>(impl->kinds.data()), impl->kinds.size()}, hash);
  impl->merges = list_merges(tables, ids, single_bytes(tokens, tables.source), hash);
  impl->fingerprint = hash;
  impl->added = AddedTokenMatcher(tables.added);
  return Tokenizer(std::move(impl));
}

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

// Text without added tokens: repaired, normalized as a whole, cut into pieces, each merged.
bool Tokenizer::Impl::encode_run(std::string_view raw, size_t most, std::vector<TokenId>& out) const {
  if (raw.size() > kMaxTextBytes)
    throw Error(ErrorCode::kTooLarge, str("a text of ", raw.size(), " bytes is too long to tokenize"));
  std::string repaired, normalized;
  if (!utf8_valid(raw)) {
    repaired = utf8_lossy(raw);
    raw = repaired;
  }
  std::string_view text = to_nfc(raw, normalized);
  while (!text.empty()) {
    // What is left has at least one token for each `longest` bytes: this also ends a piece without end.
    if (out.size() > most || text.size() / longest > most - out.size()) return false;
    const size_t length = next_piece(text);
    merges.encode(text.substr(0, length), out);
    text.remove_prefix(length);
  }
  return out.size() <= most;
}

bool Tokenizer::Impl::encode(std::string_view text, AddedTokens mode, size_t most, std::vector<TokenId>& out) const {
  size_t at = 0;
  if (mode == AddedTokens::kRecognise) {
    while (const auto match = added.find(text, at)) {
      if (!encode_run(text.substr(at, match->begin - at), most, out)) return false;
      out.push_back(match->id);
      at = match->begin + match->length;
    }
  }
  return encode_run(text.substr(at), most, out);
}

bool Tokenizer::Impl::encode(std::span<const TextSegment> segments, size_t most, std::vector<TokenId>& out) const {
  std::string run;      // since the last added token
  std::string trusted;  // neighbouring trusted segments are one text: a token may begin in one and end in the next
  const auto end_trusted = [&] {
    size_t at = 0;
    while (const auto match = added.find(trusted, at)) {
      run.append(trusted, at, match->begin - at);
      if (!encode_run(run, most, out)) return false;
      run.clear();
      out.push_back(match->id);
      at = match->begin + match->length;
    }
    run.append(trusted, at);
    trusted.clear();
    return true;
  };
  for (const TextSegment& segment : segments) {
    if (segment.trusted) {
      trusted += segment.text;
    } else if (!segment.text.empty()) {
      if (!end_trusted()) return false;
      run += segment.text;
    }
  }
  return end_trusted() && encode_run(run, most, out);
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, AddedTokens mode) const {
  std::vector<TokenId> out;
  impl_->encode(text, mode, SIZE_MAX, out);
  return out;
}

std::vector<TokenId> Tokenizer::encode(std::span<const TextSegment> segments) const {
  std::vector<TokenId> out;
  impl_->encode(segments, SIZE_MAX, out);
  return out;
}

std::optional<std::vector<TokenId>> Tokenizer::encode_at_most(std::string_view text, size_t most) const {
  std::vector<TokenId> out;
  if (!impl_->encode(text, AddedTokens::kRecognise, most, out)) return std::nullopt;
  return out;
}

std::optional<std::vector<TokenId>> Tokenizer::encode_at_most(std::span<const TextSegment> segments,
                                                              size_t most) const {
  std::vector<TokenId> out;
  if (!impl_->encode(segments, most, out)) return std::nullopt;
  return out;
}

std::string_view Tokenizer::token_bytes(TokenId id) const {
  if (id < 0 || id >= vocab_size()) return {};
  const auto index = static_cast<size_t>(id);
  return std::string_view(impl_->bytes).substr(impl_->begins[index], impl_->begins[index + 1] - impl_->begins[index]);
}

std::string Tokenizer::token_spelling(TokenId id) const {
  return is_added(id) ? std::string(token_bytes(id)) : byte_level_spelling(token_bytes(id));
}

bool Tokenizer::is_added(TokenId id) const {
  return id >= 0 && id < vocab_size() && impl_->kinds[static_cast<size_t>(id)] >= kAdded;
}

bool Tokenizer::is_special(TokenId id) const {
  return id >= 0 && id < vocab_size() && impl_->kinds[static_cast<size_t>(id)] == kSpecial;
}

std::optional<TokenId> Tokenizer::token_id(std::string_view added_token) const {
  return impl_->added.id_of(added_token);
}

int Tokenizer::vocab_size() const { return static_cast<int>(impl_->kinds.size()); }

std::string Tokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::string bytes;
  for (const TokenId id : ids)
    if (!skip_special || !is_special(id)) bytes += token_bytes(id);
  return utf8_lossy(bytes);
}

uint64_t Tokenizer::fingerprint() const { return impl_->fingerprint; }

}  // namespace qwen
