#include "text/tokenizer_json.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/quote.h"

namespace qwen {
namespace {

constexpr size_t kMaxDepth = 32;
// What stands outside the two tables: the real file's 250 entries are 12 KB, and 4096 added tokens fit.
constexpr size_t kMaxEntries = size_t{1} << 16;
constexpr size_t kMaxKeyBytes = 256;
constexpr size_t kMaxFieldBytes = size_t{8} << 20;  // of paths and values together

[[noreturn]] void bad(std::string_view source, const std::string& problem) {
  throw Error(ErrorCode::kBadData,
              str(source, ": ", problem, "; the file is damaged or not a tokenizer, copy it again"));
}

// nlohmann::json's SAX interface. The parser keeps its own stack, so nesting costs no call depth.
class Reader {
 public:
  Reader(std::string_view vocabulary_path, std::string_view source, TokenizerJson& out)
      : vocabulary_path_(vocabulary_path), source_(source), out_(out) {}

  bool null() { return scalar("null"); }
  bool boolean(bool value) { return scalar(value ? "true" : "false"); }
  bool number_integer(int64_t value) { return number(value); }
  bool number_unsigned(uint64_t value) { return number(value > INT64_MAX ? INT64_MAX : static_cast<int64_t>(value)); }
  bool number_float(double, const std::string& text) {
    if (table_ == Table::kVocabulary)
      bad(source_, str("the id of token ", quote(key_), " is ", text, ", not an integer"));
    return scalar(text);
  }

  bool string(std::string& value) {
    if (table_ == Table::kVocabulary) bad(source_, str("the id of token ", quote(key_), " is a string"));
    if (table_ != Table::kMerges) return scalar("\"" + value);
    if (merge_parts_ < 0) {
      out_.merges.push_back(split_merge(value, source_, str("model.merges[", out_.merges.size(), "]")));
    } else {
      if (merge_parts_ > 1 || value.empty()) bad_merge();
      (merge_parts_ == 0 ? merge_.first : merge_.second) = std::move(value);
      ++merge_parts_;
    }
    return check_size();
  }

  bool start_object(size_t) { return open(false); }
  bool start_array(size_t) { return open(true); }
  bool end_object() { return close(); }
  bool end_array() {
    if (table_ == Table::kMerges && merge_parts_ >= 0) {
      if (merge_parts_ != 2) bad_merge();
      out_.merges.push_back(std::move(merge_));
      merge_parts_ = -1;
      return check_size();
    }
    return close();
  }

  bool key(std::string& value) {
    if (table_ == Table::kVocabulary) {
      key_ = std::move(value);
      return true;
    }
    if (value.size() > kMaxKeyBytes) bad(source_, str("a key in ", quote(path()), " is longer than ", kMaxKeyBytes));
    levels_.back().key = std::move(value);
    return true;
  }

  bool binary(nlohmann::json::binary_t&) { return false; }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) {
    bad(source_, str("not valid JSON at byte ", position));
  }

 private:
  enum class Table { kNone, kVocabulary, kMerges };
  struct Level {
    bool array = false;
    size_t index = 0;
    std::string key;
  };

  std::string path() const {
    std::string result;
    for (const Level& level : levels_) {
      if (!result.empty()) result += '.';
      result += level.array ? std::to_string(level.index) : level.key;
    }
    return result;
  }

  [[noreturn]] void bad_merge() const {
    bad(source_, str("model.merges[", out_.merges.size(), "] is not a pair of non-empty strings"));
  }

  bool check_size() const {
    if (out_.merges.size() > kMaxMerges) bad(source_, str("more than ", kMaxMerges, " merges"));
    if (out_.vocabulary.size() > kMaxTokens) bad(source_, str("more than ", kMaxTokens, " tokens"));
    return true;
  }

  void count_entry() {
    if (++entries_ > kMaxEntries) bad(source_, str("more than ", kMaxEntries, " entries outside vocab and merges"));
  }

  bool number(int64_t value) {
    if (table_ != Table::kVocabulary) return scalar(std::to_string(value));
    out_.vocabulary.emplace_back(std::move(key_), value);
    return check_size();
  }

  bool scalar(std::string text) {
    if (table_ != Table::kNone) bad(source_, str("an entry of ", quote(path()), " has the wrong type"));
    if (levels_.empty()) bad(source_, "not a JSON object");
    count_entry();
    std::string where = path();
    field_bytes_ += where.size() + text.size();
    if (field_bytes_ > kMaxFieldBytes)
      bad(source_, str("the fields outside vocab and merges take more than ", kMaxFieldBytes, " bytes"));
    out_.fields[std::move(where)] = std::move(text);
    next_element();
    return true;
  }

  void next_element() {
    if (!levels_.empty() && levels_.back().array) ++levels_.back().index;
  }

  bool open(bool array) {
    if (table_ == Table::kMerges && array && merge_parts_ < 0) {
      merge_parts_ = 0;
      return true;
    }
    if (table_ != Table::kNone) bad(source_, str("an entry of ", quote(path()), " has the wrong type"));
    if (levels_.size() >= kMaxDepth) bad(source_, str("nested deeper than ", kMaxDepth, " levels"));
    if (levels_.empty() && array) bad(source_, "not a JSON object");
    count_entry();
    const std::string here = path();
    if (here == vocabulary_path_ && !array)
      table_ = Table::kVocabulary;
    else if (here == "model.merges" && array)
      table_ = Table::kMerges;
    else
      levels_.push_back({array, 0, {}});
    return true;
  }

  bool close() {
    if (table_ != Table::kNone)
      table_ = Table::kNone;
    else
      levels_.pop_back();
    next_element();
    return true;
  }

  std::string_view vocabulary_path_;
  std::string_view source_;
  TokenizerJson& out_;
  std::vector<Level> levels_;  // the open containers outside the tables
  size_t entries_ = 0, field_bytes_ = 0;
  Table table_ = Table::kNone;
  std::string key_;       // in the vocabulary
  int merge_parts_ = -1;  // strings seen in an open ["a","b"], −1 outside one
  std::pair<std::string, std::string> merge_;
};

}  // namespace

TokenizerJson read_tokenizer_json(std::string_view json, std::string_view vocabulary_path, std::string_view source) {
  TokenizerJson result;
  Reader reader(vocabulary_path, source, result);
  nlohmann::json::sax_parse(json.begin(), json.end(), &reader);
  return result;
}

std::pair<std::string, std::string> split_merge(std::string_view line, std::string_view source, std::string_view what) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || space == 0 || space + 1 == line.size() ||
      line.find(' ', space + 1) != std::string_view::npos)
    bad(source, str(what, " is not two words with one space between"));
  return {std::string(line.substr(0, space)), std::string(line.substr(space + 1))};
}

}  // namespace qwen
