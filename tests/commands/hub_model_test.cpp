// What a hub says of a model, and what is not believed of it.
#include "commands/hub_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/hash.h"

namespace qwen {
namespace {

const std::string kId(40, 'a'), kDigest(64, 'b');

std::string file(const std::string& name, const std::string& more = R"(,"size":3)") {
  return R"({"rfilename":")" + name + R"(","blobId":")" + kId + "\"" + more + "}";
}

std::string listing(const std::string& files) { return R"({"sha":")" + kId + R"(","siblings":[)" + files + "]}"; }

const std::string kWhole = file("config.json") + "," + file("tokenizer.json") + "," + file("model.safetensors");

std::vector<std::string> names(const std::string& files) {
  std::vector<std::string> result;
  for (const HubFile& entry : parse_hub_model(listing(files), "x").files) result.push_back(entry.name);
  return result;
}

ErrorCode code_of(const std::string& text) {
  try {
    parse_hub_model(text, "x");
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "believed: " << text;
  return ErrorCode::kInternal;
}

TEST(HubModel, TakesWhatAModelFolderHolds) {
  const auto wanted = testing::ElementsAre("config.json", "model.safetensors", "tokenizer.json");
  EXPECT_THAT(names(kWhole), wanted);
  EXPECT_THAT(names(kWhole + "," + file("onnx/model.onnx") + "," + file(".gitattributes") + "," + file("figure.png")),
              wanted);
  EXPECT_THAT(names(kWhole + "," + file("pytorch_model.bin") + "," + file("pytorch_model.bin.index.json")), wanted);
  EXPECT_THAT(names(kWhole + "," + file("config.json")), wanted) << "twice";
}

TEST(HubModel, ABinFileWhereThereIsNothingElse) {
  EXPECT_THAT(names(file("config.json") + "," + file("vocab.json") + "," + file("pytorch_model.bin") + "," +
                    file("training_args.bin")),
              testing::ElementsAre("config.json", "pytorch_model.bin", "vocab.json"));
}

TEST(HubModel, NoNameLeadsOut) {
  for (const char* name :
       {"../x.json", "/etc/x.json", "a/../../x.json", "-o.json", ".hidden.json", "a\\u0000.json", "x y.json"})
    EXPECT_EQ(names(kWhole + "," + file(name)).size(), 3u) << name;
}

TEST(HubModel, WhatCannotBeVerifiedIsRefused) {
  const std::string rest = "," + file("tokenizer.json") + "," + file("model.safetensors");
  EXPECT_EQ(code_of(listing(R"({"rfilename":"config.json","size":3})" + rest)), ErrorCode::kBadData);
  EXPECT_EQ(code_of(listing(R"({"rfilename":"config.json","size":3,"blobId":"AAAA"})" + rest)), ErrorCode::kBadData);
  EXPECT_EQ(code_of(listing(file("config.json", "") + rest)), ErrorCode::kBadData);
  EXPECT_EQ(code_of(listing(file("config.json", R"(,"size":-1)") + rest)), ErrorCode::kBadData);
  EXPECT_EQ(code_of(listing(file("config.json", R"(,"size":1e30)") + rest)), ErrorCode::kBadData);
  EXPECT_EQ(code_of(listing(file("config.json", R"(,"size":3,"lfs":{"sha256":"short","size":3})") + rest)),
            ErrorCode::kBadData);
}

TEST(HubModel, OtherAnswersAreNoModels) {
  for (const char* text : {"", "[]", "null", "<html>", "{}", R"({"siblings":{}})", R"({"siblings":[],"sha":"main"})"})
    EXPECT_EQ(code_of(text), ErrorCode::kBadData) << text;
  EXPECT_EQ(code_of(listing("")), ErrorCode::kMissingFile);
  EXPECT_EQ(code_of(listing("1,null,[],{}")), ErrorCode::kMissingFile);
  EXPECT_EQ(code_of(listing(file("config.json") + "," + file("model.safetensors"))), ErrorCode::kMissingFile);
}

TEST(HubModel, DigestsAreThoseOfTheBytes) {
  HubFile git{"config.json", 6, "", "ce013625030ba8dba906f756967f9e9ca394464a"};  // git hash-object of "hello\n"
  EXPECT_TRUE(git.matches("hello\n"));
  EXPECT_FALSE(git.matches("hellO\n"));
  EXPECT_FALSE(git.matches("hello"));
  HubFile large{"model.safetensors", 3, sha256_hex("abc"), kId};
  EXPECT_TRUE(large.matches("abc"));
  EXPECT_FALSE(large.matches("abd"));
}

TEST(HubModel, Names) {
  for (const char* good : {"Qwen/Qwen3-4B-Thinking-2507", "gpt2"}) EXPECT_TRUE(is_repository_name(good)) << good;
  for (const char* bad : {"", "/", "a/", "/a", "a/b/c", "../a", "a/..", "-a/b", "a b", "a/b?c"})
    EXPECT_FALSE(is_repository_name(bad)) << bad;
  for (const char* good : {"main", "refs/pr/1", "v1.0"}) EXPECT_TRUE(is_revision_name(good)) << good;
  for (const char* bad : {"", "-x", "a..b", "a?b", "a#b"}) EXPECT_FALSE(is_revision_name(bad)) << bad;
}

}  // namespace
}  // namespace qwen
