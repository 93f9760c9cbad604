#include "server/config/yaml_settings.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <exception>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/quote.h"
#include "base/utf8.h"
#include "server/config/config_faults.h"

namespace qwen {
namespace {

// The parser's events; nothing is built that the text could make large.
class Collector final : public YAML::EventHandler {
 public:
  Collector(std::string_view text, const std::string& name, ConfigFaults* faults)
      : name_(name), text_(text), faults_(faults) {
    lines_.push_back(0);
    for (size_t at = 0; at < text.size(); ++at)
      if (text[at] == '\n') lines_.push_back(at + 1);
  }

  std::vector<YamlSetting> take() { return std::move(settings_); }

  [[noreturn]] void fail(int line, const std::string& problem) const {
    throw Error(ErrorCode::kConfig, str(name_, ':', std::max(line, 0) + 1, ": ", problem));
  }

  // One after which the text can still be read.
  void fault(int line, const std::string& problem) const {
    attempt(faults_, [&] { fail(line, problem); });
  }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (passed_over_ > 0) return;
    refuse_anchor(mark, anchor);
    if (sections_.empty()) return;  // an empty document
    if (sections_.back().key.empty()) fail(mark.line, "a key is missing before the colon");
    add({take_path(), "", sections_.back().line, true});
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    if (passed_over_ == 0) fail(mark.line, kNoAnchors);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (passed_over_ > 0) return;
    refuse_anchor(mark, anchor);
    check_tag(mark, tag);
    check_quote(mark);
    if (sections_.empty()) fail(mark.line, "must be lines of \"key: value\"");
    if (sections_.back().key.empty()) return start_key(mark, value);
    const bool control = std::any_of(value.begin(), value.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    const std::string path = take_path();
    if (control || !utf8_valid(value))  // the parser makes bytes of \_ and \N
      fault(mark.line, str("the value of ", path,
                           " has a line break, a control character or a wrong escape; write it plainly in one line"));
    else
      add({path, value, sections_.back().line, false});
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    if (pass_over(mark)) return;
    if (sections_.empty() || sections_.back().key.empty()) fail(mark.line, "must be lines of \"key: value\"");
    fault(mark.line, str(take_path(), " must be one value, not a list"));
    passed_over_ = 1;
  }
  void OnSequenceEnd() override { --passed_over_; }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    if (pass_over(mark)) return;
    refuse_anchor(mark, anchor);
    check_tag(mark, tag);
    if (sections_.size() >= kMaxYamlDepth) fail(mark.line, str("is nested deeper than ", kMaxYamlDepth, " levels"));
    if (sections_.empty()) return sections_.push_back({"", "", mark.line, 0});
    if (sections_.back().key.empty()) fail(mark.line, "a key must be a word");
    const int line = sections_.back().line;
    const std::string path = take_path();
    remember(path, line);
    sections_.push_back({path + '.', "", line, settings_.size()});
  }

  void OnMapEnd() override {
    if (passed_over_ > 0) return static_cast<void>(--passed_over_);
    const Section done = std::move(sections_.back());
    sections_.pop_back();
    if (!sections_.empty() && done.first == settings_.size())
      settings_.push_back({done.prefix.substr(0, done.prefix.size() - 1), "", done.line, true});
  }

 private:
  struct Section {
    std::string prefix, key;  // key: read, its value not yet
    int line = 0;
    size_t first = 0;  // of settings_
  };

  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) const {
    if (anchor != 0) fault(mark.line, kNoAnchors);
  }

  // Whether this is something inside of a list; the parser is kept from descending far there, too.
  bool pass_over(const YAML::Mark& mark) {
    if (passed_over_ == 0) return false;
    if (++passed_over_ > kMaxYamlDepth) fail(mark.line, str("is nested deeper than ", kMaxYamlDepth, " levels"));
    return true;
  }

  void check_tag(const YAML::Mark& mark, const std::string& tag) const {
    constexpr std::array<std::string_view, 8> kPlain = {"",
                                                        "?",
                                                        "!",
                                                        "tag:yaml.org,2002:str",
                                                        "tag:yaml.org,2002:int",
                                                        "tag:yaml.org,2002:float",
                                                        "tag:yaml.org,2002:bool",
                                                        "tag:yaml.org,2002:map"};
    if (std::find(kPlain.begin(), kPlain.end(), tag) == kPlain.end())
      fault(mark.line, "tags (!) are not read here; write the value alone, or quote it");
  }

  // The parser would read on to the next quote, or to the end, and take all that for the value.
  void check_quote(const YAML::Mark& mark) const {
    const auto line = static_cast<size_t>(mark.line);
    if (line >= lines_.size()) return;
    std::string_view rest = text_.substr(lines_[line]);
    rest = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), static_cast<size_t>(mark.column)));
    const char quote = rest.empty() ? '\0' : rest.front();
    if (quote != '"' && quote != '\'') return;
    for (size_t i = 1; i < rest.size(); ++i) {
      if (rest[i] == quote) return;  // of a doubled one, the value goes on, and is looked at no further
      if (quote == '"' && rest[i] == '\\') ++i;
    }
    fail(mark.line, str("a ", quote, " is not closed in its line"));
  }

  void start_key(const YAML::Mark& mark, const std::string& key) {
    const bool word = !key.empty() && key.size() <= kMaxYamlKey &&
                      std::all_of(key.begin(), key.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
    if (!word) fail(mark.line, str("a key must be a word of at most ", kMaxYamlKey, " ASCII letters"));
    sections_.back().key = key;
    sections_.back().line = mark.line;
  }

  std::string take_path() {
    std::string path = sections_.back().prefix + sections_.back().key;
    sections_.back().key.clear();
    return path;
  }

  bool remember(const std::string& path, int line) {
    if (paths_.size() >= kMaxYamlSettings) fail(line, str("more than ", kMaxYamlSettings, " settings"));
    const bool added = paths_.insert(path).second;
    if (!added) fault(line, str(path, " is set twice; keep one of them"));
    return added;
  }

  void add(YamlSetting setting) {
    if (remember(setting.path, setting.line)) settings_.push_back(std::move(setting));
  }

  static constexpr const char* kNoAnchors =
      "anchors (&) and aliases (*) are not read here; write the value out, or quote it";

  const std::string& name_;
  const std::string_view text_;
  ConfigFaults* const faults_;
  size_t passed_over_ = 0;             // lists and mappings that are open from the list that is passed over on
  std::vector<size_t> lines_;          // where they begin in text_
  std::vector<YamlSetting> settings_;  // lines from 0 here
  std::vector<Section> sections_;
  std::set<std::string> paths_;
};

void read_text(std::string_view text, const std::string& name, Collector& collector) {
  if (text.size() > kMaxYamlBytes)
    throw Error(ErrorCode::kConfig, str(name, ": ", text.size(), " bytes are more than the ", kMaxYamlBytes,
                                        " that a configuration file may have"));
  if (!utf8_valid(text) || text.find('\0') != text.npos)
    throw Error(ErrorCode::kConfig, str(name, ": is not UTF-8 text; save it as UTF-8"));
  std::istringstream stream{std::string(text)};
  try {
    YAML::Parser parser(stream);
    if (parser.HandleNextDocument(collector) && parser.HandleNextDocument(collector))
      throw Error(ErrorCode::kConfig, str(name, ": holds more than one document (---); keep one"));
  } catch (const YAML::Exception& error) {
    collector.fail(error.mark.line, str("is not YAML: ", escape_controls(error.msg),
                                        "; the keys of a block stand under each other, indented by spaces"));
  }
}

}  // namespace

std::vector<YamlSetting> read_yaml_settings(std::string_view text, const std::string& name, ConfigFaults* faults) {
  if (text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);  // the byte order mark of some editors
  Collector collector(text, name, faults);
  attempt(faults, [&] {
    try {
      read_text(text, name, collector);
    } catch (const Error&) {
      if (faults != nullptr) faults->source_is_cut();
      throw;
    }
  });
  std::vector<YamlSetting> settings = collector.take();
  for (YamlSetting& setting : settings) ++setting.line;
  return settings;
}

}  // namespace qwen
