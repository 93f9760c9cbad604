// Damaged and absurd tokenizer files: each is refused with kBadData and a message that names the place; none crashes.
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <random>

#include "base/error.h"
#include "text/model_folder.h"
#include "text/tokenizer.h"

namespace qwen {
namespace {

using nlohmann::ordered_json;

std::string good_json() { return testing::file_text(testing::text_data("tokenizer.json")); }

// The error's message, or "loaded".
std::string load_error(const std::string& json, ErrorCode expected = ErrorCode::kBadData) {
  const testing::ModelFolder folder;
  folder.write("tokenizer.json", json);
  try {
    Tokenizer::load(folder.path());
    return "loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), expected) << error.what();
    return error.what();
  }
}

struct Damage {
  const char* name;
  const char* named;  // what the message must say
  std::function<void(ordered_json&)> apply;
};

const std::vector<Damage>& damages() {
  static const std::vector<Damage> list = {
      {"other pattern", "pattern.Regex",
       [](auto& j) { j["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "\\w+"; }},
      {"no normalizer", "normalizer.type", [](auto& j) { j["normalizer"] = nullptr; }},
      {"other normalizer", "normalizer.type", [](auto& j) { j["normalizer"]["type"] = "NFKC"; }},
      {"prefix space", "add_prefix_space",
       [](auto& j) { j["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = true; }},
      {"third step", "pretokenizers.2",
       [](auto& j) {
         j["pre_tokenizer"]["pretokenizers"].push_back({{"type", "Digits"}});
       }},
      {"no decoder", "decoder.type", [](auto& j) { j.erase("decoder"); }},
      {"adds tokens", "post_processor.type",
       [](auto& j) {
         j["post_processor"] = {{"type", "TemplateProcessing"}};
       }},
      {"other model", "model.type", [](auto& j) { j["model"]["type"] = "Unigram"; }},
      {"byte fallback", "byte_fallback", [](auto& j) { j["model"]["byte_fallback"] = true; }},
      {"dropout", "dropout", [](auto& j) { j["model"]["dropout"] = 0.1; }},
      {"ignores merges", "ignore_merges", [](auto& j) { j["model"]["ignore_merges"] = true; }},
      {"word suffix", "end_of_word_suffix", [](auto& j) { j["model"]["end_of_word_suffix"] = "</w>"; }},
      {"negative id", "has id -1", [](auto& j) { j["model"]["vocab"]["a"] = -1; }},
      {"huge id", "has id", [](auto& j) { j["model"]["vocab"]["a"] = 9223372036854775807; }},
      {"id beyond 64 bits", "has id", [](auto& j) { j["model"]["vocab"]["a"] = 18446744073709551615u; }},
      {"big gap", "has id 1000000", [](auto& j) { j["model"]["vocab"]["a"] = 1000000; }},
      {"fractional id", "1.5", [](auto& j) { j["model"]["vocab"]["a"] = 1.5; }},
      {"string id", "id of token", [](auto& j) { j["model"]["vocab"]["a"] = "7"; }},
      {"id is an object", "model",
       [](auto& j) {
         j["model"]["vocab"]["a"] = {{"x", 1}};
       }},
      {"duplicate id", "two tokens", [](auto& j) { j["model"]["vocab"]["a"] = j["model"]["vocab"]["b"]; }},
      {"missing byte", "single byte", [](auto& j) { j["model"]["vocab"].erase("a"), j["model"]["merges"].clear(); }},
      {"foreign spelling", "byte-level", [](auto& j) { j["model"]["vocab"]["啊"] = 600; }},
      {"empty token", "empty", [](auto& j) { j["model"]["vocab"][""] = 600; }},
      {"empty vocabulary", "byte", [](auto& j) { j["model"]["vocab"].clear(), j["model"]["merges"].clear(); }},
      {"no vocabulary", "byte", [](auto& j) { j["model"].erase("vocab"), j["model"]["merges"].clear(); }},
      {"no model", "byte", [](auto& j) { j.erase("model"); }},
      {"vocabulary is a list", "byte",
       [](auto& j) {
         j["model"]["vocab"] = {1, 2}, j["model"]["merges"].clear();
       }},
      {"merge of strangers", "merge 0", [](auto& j) { j["model"]["merges"][0] = "zz zz"; }},
      {"merge twice", "twice", [](auto& j) { j["model"]["merges"][1] = j["model"]["merges"][0]; }},
      {"merge of one", "merges[0]", [](auto& j) { j["model"]["merges"][0] = "ab"; }},
      {"merge of three", "merges[0]", [](auto& j) { j["model"]["merges"][0] = "a b c"; }},
      {"merge list of one", "merges[0]", [](auto& j) { j["model"]["merges"][0] = {"a"}; }},
      {"merge list of three", "merges[0]",
       [](auto& j) {
         j["model"]["merges"][0] = {"a", "b", "c"};
       }},
      {"merge with an empty part", "merges[0]",
       [](auto& j) {
         j["model"]["merges"][0] = {"", "b"};
       }},
      {"merge of numbers", "model", [](auto& j) { j["model"]["merges"][0] = 7; }},
      {"merge is nested", "model",
       [](auto& j) {
         j["model"]["merges"][0] = {{"a", "b"}};
       }},
      {"merge is an object", "model",
       [](auto& j) {
         j["model"]["merges"][0] = {{"a", 1}};
       }},
      {"no control tokens", "<|im_start|>", [](auto& j) { j["added_tokens"].clear(); }},
      {"added twice", "twice",
       [](auto& j) { j["added_tokens"][7]["content"] = "<think>", j["added_tokens"][8]["content"] = "<think>"; }},
      {"added over a token", "two tokens", [](auto& j) { j["added_tokens"][0]["id"] = 3; }},
      {"added id negative", "added_tokens.0.id", [](auto& j) { j["added_tokens"][0]["id"] = -5; }},
      {"added id missing", "added_tokens.0.id", [](auto& j) { j["added_tokens"][0].erase("id"); }},
      {"added id huge", "has id", [](auto& j) { j["added_tokens"][0]["id"] = 2000000000; }},
      {"added content empty", "added_tokens.0.content", [](auto& j) { j["added_tokens"][0]["content"] = ""; }},
      {"added content a number", "added_tokens.0.content", [](auto& j) { j["added_tokens"][0]["content"] = 12; }},
      {"added strips", "lstrip", [](auto& j) { j["added_tokens"][0]["lstrip"] = true; }},
  };
  return list;
}

TEST(HostileFiles, EveryDamageIsNamed) {
  for (const Damage& damage : damages()) {
    ordered_json json = ordered_json::parse(good_json());
    damage.apply(json);
    const std::string message = load_error(json.dump());
    EXPECT_NE(message.find(damage.named), std::string::npos) << damage.name << ": " << message;
    EXPECT_NE(message.find("tokenizer.json"), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST(HostileFiles, RepeatedKeyInTheVocabulary) {
  std::string json = good_json();
  const size_t at = json.find("\"vocab\":{") + 9;
  json.insert(at, "\"a\":600,");
  EXPECT_NE(load_error(json).find("\"a\""), std::string::npos);
}

TEST(HostileFiles, WhatIsNotJson) {
  for (const char* text :
       {"", " ", "null", "7", "\"x\"", "[]", "[1,2]", "{", "{}", "{\"model\":", "\xff\xfe", "{\"a\":\"\xff\"}"})
    EXPECT_NE(load_error(text), "loaded") << text;
}

TEST(HostileFiles, NestingIsBounded) {
  for (const char* open : {"[", "{\"a\":"}) {
    std::string deep = "{\"x\":";
    for (int i = 0; i < 200000; ++i) deep += open;
    EXPECT_NE(load_error(deep).find("nested"), std::string::npos);
  }
}

// Each entry outside the tables is remembered under its whole path: neither many nor long paths may cost more than the
// file.
TEST(HostileFiles, EntriesOutsideTheTablesAreBounded) {
  const std::string key(200, 'k'), list = "{\"x\":[";
  std::string deep_paths;
  for (int i = 0; i < 30; ++i) deep_paths += "{\"" + key + "\":";
  deep_paths += '[';
  for (int i = 0; i < 5000; ++i) deep_paths += "0,";
  EXPECT_NE(load_error(deep_paths).find("bytes"), std::string::npos);

  EXPECT_NE(load_error("{\"" + std::string(100000, 'k') + "\":1}").find("a key"), std::string::npos);
  EXPECT_NE(load_error("{\"x\":\"" + std::string(10000000, 'v') + "\"}").find("bytes"), std::string::npos);
  for (const char* element : {"0,", "[],", "{},"}) {
    std::string many = list;
    for (int i = 0; i < 70000; ++i) many += element;
    EXPECT_NE(load_error(many).find("more than 65536 entries"), std::string::npos) << element;
  }
}

TEST(HostileFiles, EveryTruncationIsRefused) {
  const std::string json = good_json();
  const size_t last = json.rfind('}');
  for (size_t length = 0; length <= last; length += 97)
    EXPECT_NE(load_error(json.substr(0, length)), "loaded") << length;
}

// Whatever a byte is changed to, the file either loads, and then encodes, or is refused.
TEST(HostileFiles, ChangedBytesNeverCrash) {
  const std::string json = good_json();
  std::mt19937 random(7);
  for (int i = 0; i < 400; ++i) {
    std::string changed = json;
    for (int k = 0; k < 3; ++k) changed[random() % changed.size()] = static_cast<char>(random() % 256);
    const testing::ModelFolder folder;
    folder.write("tokenizer.json", changed);
    try {
      Tokenizer::load(folder.path()).encode("hello <think> 世界");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadData) << error.what();
    }
  }
}

TEST(HostileFiles, MissingFilesAreNamed) {
  const testing::ModelFolder folder;
  const auto message = [&] {
    try {
      Tokenizer::load(folder.path());
      return std::string("loaded");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kMissingFile);
      return std::string(error.what());
    }
  };
  EXPECT_NE(message().find("tokenizer.json"), std::string::npos);
  folder.write("vocab.json", "{}");
  EXPECT_NE(message().find("merges.txt"), std::string::npos);
  folder.write("merges.txt", "");
  EXPECT_NE(message().find("tokenizer_config.json"), std::string::npos);
}

TEST(HostileFiles, VocabularyAndMerges) {
  const auto refused = [](const char* config, const char* merges) {
    const testing::ModelFolder folder;
    folder.write("vocab.json", ordered_json::parse(good_json())["model"]["vocab"].dump());
    folder.write("merges.txt", merges);
    folder.write("tokenizer_config.json", config);
    try {
      Tokenizer::load(folder.path());
      return std::string("loaded");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadData);
      return std::string(error.what());
    }
  };
  const char* good = R"({"added_tokens_decoder":{"501":{"content":"<|im_start|>"},"502":{"content":"<|im_end|>"}}})";
  EXPECT_EQ(refused(good, ""), "loaded");
  EXPECT_NE(refused(good, "#version\na b c\n").find("merges.txt line 2"), std::string::npos);
  EXPECT_NE(refused(good, "a \n").find("merges.txt line 1"), std::string::npos);
  EXPECT_NE(refused("{}", "").find("added_tokens_decoder"), std::string::npos);
  EXPECT_NE(refused("{", "").find("tokenizer_config.json"), std::string::npos);
  EXPECT_NE(refused("[]", "").find("added_tokens_decoder"), std::string::npos);
  std::string zeros = "[";
  for (int i = 0; i < 100000; ++i) zeros += "0,";
  zeros.back() = ']';
  EXPECT_NE(refused(zeros.c_str(), "").find("more than 65536 values"), std::string::npos);
  for (const char* key : {"x", "-1", "0x10", "99999999999999999999", " 5", ""})
    EXPECT_NE(
        refused(str(R"({"added_tokens_decoder":{")", key, R"(":{"content":"x"}}})").c_str(), "").find("not a token id"),
        std::string::npos)
        << key;
  EXPECT_NE(refused(R"({"added_tokens_decoder":{"501":{"content":5}}})", "").find(".content"), std::string::npos);
  EXPECT_NE(refused(R"({"added_tokens_decoder":{"501":7}})", "").find(".content"), std::string::npos);
}

}  // namespace
}  // namespace qwen
