// The real Qwen3 tokenizer against the reference implementation's ids and texts, all of them.
#include <ctime>
#include <string>

#include "base/hash.h"
#include "text/detokenizer.h"
#include "text/shared_data.h"
#include "text/tokenizer.h"

namespace qwen {
namespace {

using nlohmann::ordered_json;
using testing::for_each_golden;
using Ids = std::vector<TokenId>;

constexpr const char* kModel = "qwen3-tokenizer";

const Tokenizer& real_tokenizer() {
  static const Tokenizer tokenizer = Tokenizer::load(testing::shared_data(kModel));
  return tokenizer;
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

TEST(GoldenTokenizer, Encodes) {
  QWEN_NEED_SHARED_DATA("golden/tokenizer.jsonl");
  const Tokenizer& tokenizer = real_tokenizer();
  const int cases = for_each_golden("golden/tokenizer.jsonl", [&](const ordered_json& golden) {
    const std::string text = golden.at("text");
    const Ids ids = golden.at("ids");
    EXPECT_EQ(tokenizer.encode(text), ids);
    EXPECT_EQ(tokenizer.encode(text, AddedTokens::kAsText), golden.value("ids_no_added", ids));
    EXPECT_EQ(tokenizer.encode(std::vector<TextSegment>{{text, true}}), ids);
    EXPECT_EQ(tokenizer.encode(std::vector<TextSegment>{{text, false}}), golden.value("ids_no_added", ids));
  });
  EXPECT_EQ(cases, 700);
}

TEST(GoldenTokenizer, Decodes) {
  QWEN_NEED_SHARED_DATA("golden/tokenizer.jsonl");
  const Tokenizer& tokenizer = real_tokenizer();
  for_each_golden("golden/tokenizer.jsonl", [&](const ordered_json& golden) {
    const Ids ids = golden.at("ids");
    const std::string text = golden.at("text");
    const std::string decoded = golden.value("decoded", text);
    EXPECT_EQ(tokenizer.decode(ids, false), decoded);
    EXPECT_EQ(tokenizer.decode(ids, true), golden.value("decoded_skip_special", decoded));
  });
}

TEST(GoldenTokenizer, LongInputs) {
  QWEN_NEED_SHARED_DATA("golden/tokenizer_long.jsonl");
  const Tokenizer& tokenizer = real_tokenizer();
  const int cases = for_each_golden("golden/tokenizer_long.jsonl", [&](const ordered_json& golden) {
    std::string text;
    for (int i = 0; i < golden.at("count").get<int>(); ++i) text += golden.at("unit").get<std::string>();
    text += golden.at("tail").get<std::string>();
    const std::clock_t start = std::clock();
    const Ids ids = tokenizer.encode(text);
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    EXPECT_LT(seconds, 1.0);
    EXPECT_EQ(ids.size(), golden.at("n_ids").get<size_t>());
    std::string joined;
    for (const TokenId id : ids) joined += (joined.empty() ? "" : " ") + std::to_string(id);
    EXPECT_EQ(sha256_hex(joined), golden.at("ids_sha256").get<std::string>());
  });
  EXPECT_EQ(cases, 13);
}

TEST(GoldenTokenizer, DecodesAnyIds) {
  QWEN_NEED_SHARED_DATA("golden/decode.jsonl");
  const Tokenizer& tokenizer = real_tokenizer();
  const int cases = for_each_golden("golden/decode.jsonl", [&](const ordered_json& golden) {
    const Ids ids = golden.at("ids");
    for (size_t i = 0; i < ids.size(); ++i)
      EXPECT_EQ(tokenizer.token_bytes(ids[i]), from_hex(golden.at("bytes_hex").at(i))) << ids[i];
    EXPECT_EQ(tokenizer.decode(ids, false), golden.at("text").get<std::string>());
    EXPECT_EQ(tokenizer.decode(ids, true), golden.at("text_skip_special").get<std::string>());
  });
  EXPECT_EQ(cases, 132);
}

TEST(GoldenTokenizer, Streams) {
  QWEN_NEED_SHARED_DATA("golden/decode.jsonl");
  for_each_golden("golden/decode.jsonl", [&](const ordered_json& golden) {
    for (const bool skip_special : {false, true}) {
      Detokenizer detokenizer(real_tokenizer(), skip_special);
      std::string joined;
      std::vector<std::string> pieces;
      for (const TokenId id : golden.at("ids").get<Ids>()) joined += pieces.emplace_back(detokenizer.push(id));
      joined += detokenizer.flush();
      EXPECT_EQ(joined, golden.at(skip_special ? "text_skip_special" : "text").get<std::string>());
      if (golden.contains("stream") && !skip_special) {
        EXPECT_EQ(pieces, golden.at("stream").get<std::vector<std::string>>());
      }
    }
  });
}

TEST(GoldenTokenizer, KnowsItsTokens) {
  QWEN_NEED_SHARED_DATA(kModel);
  const Tokenizer& tokenizer = real_tokenizer();
  EXPECT_EQ(tokenizer.vocab_size(), 151669);
  EXPECT_EQ(tokenizer.token_id("<think>"), 151667);
  EXPECT_EQ(tokenizer.token_id("<think"), std::nullopt);
  EXPECT_EQ(tokenizer.token_id("hello"), std::nullopt);
  EXPECT_TRUE(tokenizer.is_special(151645));
  EXPECT_FALSE(tokenizer.is_special(151668));
  EXPECT_TRUE(tokenizer.is_added(151668));
  EXPECT_FALSE(tokenizer.is_added(151642));
  EXPECT_EQ(tokenizer.token_bytes(151669), "");
  EXPECT_EQ(tokenizer.token_bytes(-1), "");
}

// vocab.json and merges.txt, with and without the version line, make the same tokenizer as tokenizer.json.
TEST(GoldenTokenizer, LoadsFromVocabularyAndMerges) {
  QWEN_NEED_SHARED_DATA("qwen3-tokenizer/merges.txt");
  const std::filesystem::path dir = std::filesystem::path(::testing::TempDir()) / "qwen_vocab_and_merges";
  std::filesystem::create_directories(dir);
  for (const char* file : {"vocab.json", "tokenizer_config.json"})
    std::filesystem::copy_file(testing::shared_data(kModel) / file, dir / file,
                               std::filesystem::copy_options::overwrite_existing);
  std::ifstream in(testing::shared_data(kModel) / "merges.txt");
  std::string merges(std::istreambuf_iterator<char>(in), {});
  for (const bool version_line : {true, false}) {
    if (!version_line) merges.erase(0, merges.find('\n') + 1);
    std::ofstream(dir / "merges.txt") << merges;
    EXPECT_EQ(Tokenizer::load(dir).fingerprint(), real_tokenizer().fingerprint()) << version_line;
  }
  std::filesystem::remove_all(dir);
}

TEST(GoldenTokenizer, HoldsControlTokensOfCallersBack) {
  QWEN_NEED_SHARED_DATA(kModel);
  const std::vector<TextSegment> segments = {
      {"<|im_start|>user\n", true}, {"hi<|im_end|></think>", false}, {"<|im_end|>\n", true}};
  EXPECT_EQ(real_tokenizer().encode(segments),
            (Ids{151644, 872, 198, 6023, 27, 91, 318, 6213, 91, 1472, 26865, 29, 151645, 198}));
  // The role's newline and the content's own are one piece.
  const std::vector<TextSegment> newlines = {{"<|im_start|>us", true}, {"", false}, {"er\n", true}, {"\n\nHi", false}};
  EXPECT_EQ(real_tokenizer().encode(newlines), (Ids{151644, 872, 1406, 13048}));
}

}  // namespace
}  // namespace qwen
