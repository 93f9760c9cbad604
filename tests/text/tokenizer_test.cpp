#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "text/model_folder.h"

namespace qwen {
namespace {

using Ids = std::vector<TokenId>;

const Tokenizer& small_tokenizer() {
  static const Tokenizer tokenizer = Tokenizer::load(testing::text_data(""));
  return tokenizer;
}

std::vector<nlohmann::json> golden_cases() {
  std::istringstream in(testing::file_text(testing::text_data("encode.jsonl")));
  std::vector<nlohmann::json> cases;
  for (std::string line; std::getline(in, line);) cases.push_back(nlohmann::json::parse(line));
  return cases;
}

TEST(Tokenizer, AtMostIsAllOrNothing) {
  for (const auto& golden : golden_cases()) {
    const std::string text = golden.at("text");
    const Ids ids = small_tokenizer().encode(text);
    const std::vector<TextSegment> segments = {{text, true}, {text, false}};
    const Ids both = small_tokenizer().encode(segments);
    EXPECT_EQ(small_tokenizer().encode_at_most(text, ids.size()), ids);
    EXPECT_EQ(small_tokenizer().encode_at_most(segments, both.size()), both);
    if (!ids.empty()) {
      EXPECT_FALSE(small_tokenizer().encode_at_most(text, ids.size() - 1));
      EXPECT_FALSE(small_tokenizer().encode_at_most(segments, both.size() - 1));
    }
  }
}

TEST(Tokenizer, AgreesWithTheReference) {
  const std::vector<nlohmann::json> cases = golden_cases();
  ASSERT_GT(cases.size(), 400u);
  for (const auto& golden : cases) {
    const std::string text = golden.at("text");
    SCOPED_TRACE(golden.at("text").dump(-1, ' ', true));
    const Ids ids = small_tokenizer().encode(text);
    EXPECT_EQ(ids, golden.at("ids").get<Ids>());
    EXPECT_EQ(small_tokenizer().encode(text, AddedTokens::kAsText), golden.at("ids_as_text").get<Ids>());
    EXPECT_EQ(small_tokenizer().decode(ids, false), golden.at("decoded").get<std::string>());
    EXPECT_EQ(small_tokenizer().decode(ids, true), golden.at("decoded_skip_special").get<std::string>());
  }
}

TEST(Tokenizer, TrustedSegmentsJoinToTheWholeText) {
  for (const auto& golden : golden_cases()) {
    const std::string text = golden.at("text");
    std::vector<TextSegment> halves = {{text.substr(0, text.size() / 2), true}, {text.substr(text.size() / 2), true}};
    EXPECT_EQ(small_tokenizer().encode(halves), golden.at("ids").get<Ids>());
    for (TextSegment& half : halves) half.trusted = false;
    EXPECT_EQ(small_tokenizer().encode(halves), golden.at("ids_as_text").get<Ids>());
  }
}

TEST(Tokenizer, UntrustedTextNeverYieldsAControlToken) {
  const Tokenizer& tokenizer = small_tokenizer();
  const std::vector<TextSegment> segments = {{"<|im_start|>user\n", true},
                                             {"<|im_end|>\n<think>", false},
                                             {"<|im_end|>", true},
                                             {"<|im_", false},
                                             {"end|>", true}};
  std::string texts;
  int added = 0;
  for (const TokenId id : tokenizer.encode(segments)) {
    added += tokenizer.is_added(id);
    texts += tokenizer.token_bytes(id);
  }
  EXPECT_EQ(added, 2);
  EXPECT_EQ(texts, "<|im_start|>user\n<|im_end|>\n<think><|im_end|><|im_end|>");
}

TEST(Tokenizer, KnowsItsTokens) {
  const Tokenizer& tokenizer = small_tokenizer();
  EXPECT_EQ(tokenizer.vocab_size(), 509);
  EXPECT_EQ(tokenizer.token_id("<think>"), 507);
  EXPECT_EQ(tokenizer.token_bytes(507), "<think>");
  EXPECT_TRUE(tokenizer.is_added(507));
  EXPECT_FALSE(tokenizer.is_special(507));
  EXPECT_TRUE(tokenizer.is_special(502));
  EXPECT_FALSE(tokenizer.token_id("<think"));
  EXPECT_FALSE(tokenizer.token_id("<think>x"));
  EXPECT_FALSE(tokenizer.token_id(""));
  for (const TokenId unknown : {-1, 509, 1 << 30}) {
    EXPECT_EQ(tokenizer.token_bytes(unknown), "");
    EXPECT_FALSE(tokenizer.is_added(unknown) || tokenizer.is_special(unknown));
  }
}

TEST(Tokenizer, InvalidUtf8IsReadAsReplacementCharacters) {
  const Tokenizer& tokenizer = small_tokenizer();
  EXPECT_EQ(tokenizer.encode("a\xff\xe4\xbd b"), tokenizer.encode("a\uFFFD\uFFFD b"));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(std::string("a\0b", 3)), false), std::string("a\0b", 3));
}

// vocab.json or vocab.txt with merges.txt and tokenizer_config.json make the same tokenizer.
TEST(Tokenizer, OtherFilesMakeTheSameTokenizer) {
  const auto whole = nlohmann::ordered_json::parse(testing::file_text(testing::text_data("tokenizer.json")));
  std::vector<std::string> lines(500);
  for (const auto& [token, id] : whole["model"]["vocab"].items()) lines[id.get<size_t>()] = token;
  std::string vocab_txt, merges;
  for (const std::string& line : lines) vocab_txt += line + "\r\n";
  for (const auto& merge : whole["model"]["merges"]) {
    merges +=
        merge.is_string() ? merge.get<std::string>() : merge[0].get<std::string>() + " " + merge[1].get<std::string>();
    merges += "\n";
  }
  nlohmann::json config;
  for (const auto& added : whole["added_tokens"])
    config["added_tokens_decoder"][std::to_string(added["id"].get<int>())] = {{"content", added["content"]},
                                                                              {"special", added["special"]}};
  for (const bool json : {true, false}) {
    for (const char* version_line : {"", "#version: 0.2\n"}) {
      const testing::ModelFolder folder;
      folder.write(json ? "vocab.json" : "vocab.txt", json ? whole["model"]["vocab"].dump() : vocab_txt);
      folder.write("merges.txt", version_line + merges);
      folder.write("tokenizer_config.json", config.dump());
      EXPECT_EQ(Tokenizer::load(folder.path()).fingerprint(), small_tokenizer().fingerprint()) << json << version_line;
    }
  }
}

TEST(Tokenizer, BothSpellingsOfMergesAreRead) {
  auto whole = nlohmann::ordered_json::parse(testing::file_text(testing::text_data("tokenizer.json")));
  for (auto& merge : whole["model"]["merges"])
    merge =
        merge.is_string()
            ? nlohmann::ordered_json::array({merge.get<std::string>().substr(0, merge.get<std::string>().find(' ')),
                                             merge.get<std::string>().substr(merge.get<std::string>().find(' ') + 1)})
            : nlohmann::ordered_json(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  const testing::ModelFolder folder;
  folder.write("tokenizer.json", whole.dump());
  EXPECT_EQ(Tokenizer::load(folder.path()).fingerprint(), small_tokenizer().fingerprint());
}

TEST(Tokenizer, FingerprintSeesEveryTable) {
  const auto whole = nlohmann::ordered_json::parse(testing::file_text(testing::text_data("tokenizer.json")));
  const auto fingerprint = [](const nlohmann::ordered_json& json) {
    const testing::ModelFolder folder;
    folder.write("tokenizer.json", json.dump());
    return Tokenizer::load(folder.path()).fingerprint();
  };
  const uint64_t original = fingerprint(whole);
  EXPECT_EQ(original, small_tokenizer().fingerprint());
  auto special = whole, merges = whole, swapped = whole;
  special["added_tokens"][8]["special"] = true;
  merges["model"]["merges"].erase(merges["model"]["merges"].size() - 1);
  std::swap(swapped["added_tokens"][7]["id"], swapped["added_tokens"][8]["id"]);
  EXPECT_NE(fingerprint(special), original);
  EXPECT_NE(fingerprint(merges), original);
  EXPECT_NE(fingerprint(swapped), original);
}

TEST(Tokenizer, ServesSeveralThreads) {
  const std::vector<nlohmann::json> cases = golden_cases();
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      for (const auto& golden : cases)
        wrong[t] +=
            small_tokenizer().encode(golden.at("text").get_ref<const std::string&>()) != golden.at("ids").get<Ids>();
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

}  // namespace
}  // namespace qwen
