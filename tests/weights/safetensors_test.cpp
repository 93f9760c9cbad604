// Every way in which a safetensors file can contradict itself is refused with kBadData before any of it is believed.
#include "weights/safetensors.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/torch_file.h"  // little_endian

namespace qwen {
namespace {

std::string file_of(const std::string& header, const std::string& data) {
  return little_endian(header.size(), 8) + header + data;
}

SafetensorsFile read(const std::string& file) {
  return read_safetensors(std::as_bytes(std::span(file)), "dir/model.safetensors");
}

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
  return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

const std::string kGood = "{" + tensor("a", "F32", "[2,1]", "[0,8]") + "}";

TEST(Safetensors, ReadsWhatTheFormatAllows) {
  const std::string header = R"({"__metadata__":{"format":"pt"},)" + tensor("second", "BF16", "[3]", "[8,14]") + "," +
                             tensor("first", "F32", "[2, 1]", "[0,8]") + "," + tensor("scalar", "U8", "[]", "[14,15]") +
                             "}   ";
  const SafetensorsFile file = read(file_of(header, std::string(15, 'x')));
  ASSERT_EQ(file.tensors.size(), 3u);
  EXPECT_EQ(file.header_bytes, 8 + header.size());
  EXPECT_EQ(file.tensors[0].name, "first");
  EXPECT_EQ(file.tensors[0].dtype, DType::kF32);
  EXPECT_EQ(file.tensors[0].shape, (Shape{2, 1}));
  EXPECT_EQ(file.tensors[1].name, "second");
  EXPECT_EQ(file.tensors[1].offset, 8 + header.size() + 8);
  EXPECT_EQ(file.tensors[1].size_bytes, 6u);
  EXPECT_EQ(file.tensors[2].shape, Shape{});
}

struct BadFile {
  const char* name;
  std::string bytes;
  const char* words;
};

class SafetensorsRefuses : public testing::TestWithParam<BadFile> {};

TEST_P(SafetensorsRefuses, TheFile) {
  EXPECT_TRUE(fails_with([&] { read(GetParam().bytes); }, ErrorCode::kBadData, GetParam().words));
  EXPECT_TRUE(fails_with([&] { read(GetParam().bytes); }, ErrorCode::kBadData, "dir/model.safetensors: "));
}

std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets, size_t data = 8) {
  return file_of("{" + tensor("a", dtype, shape, offsets) + "}", std::string(data, 'x'));
}
std::string two(const std::string& offsets_a, const std::string& offsets_b, size_t data) {
  return file_of("{" + tensor("a", "F32", "[2]", offsets_a) + "," + tensor("b", "F32", "[2]", offsets_b) + "}",
                 std::string(data, 'x'));
}
std::string length(uint64_t n) { return little_endian(n, 8) + kGood + std::string(8, 'x'); }
std::string whole() { return file_of(kGood, std::string(8, 'x')); }

std::vector<BadFile> bad_files() {
  const std::string deep_open(100000, '['), deep_objects = [] {
    std::string text;
    for (int i = 0; i < 100000; ++i) text += "{\"a\":";
    return text;
  }();
  return {
      // Truncated at every border.
      {"Empty", "", "too short"},
      {"SevenBytes", whole().substr(0, 7), "too short"},
      {"EightBytes", whole().substr(0, 8), "truncated"},
      {"NineBytes", whole().substr(0, 9), "truncated"},
      {"MidHeader", whole().substr(0, 20), "truncated"},
      {"NoData", whole().substr(0, 8 + kGood.size()), "truncated"},
      {"MidData", whole().substr(0, whole().size() - 4), "truncated"},
      {"LastByte", whole().substr(0, whole().size() - 1), "truncated"},
      {"ExtraByte", whole() + "x", "corrupt"},
      // Header length.
      {"Length0", length(0), "'{'"},
      {"Length1", length(1), "not valid JSON"},
      {"Length2to31", length(1ull << 31), "header length"},
      {"Length2to32", length(1ull << 32), "header length"},
      {"Length2to63", length(1ull << 63), "header length"},
      {"LengthMax", length(~0ull), "header length"},
      {"LengthBeyondFile", length(1000), "truncated"},
      // The JSON itself.
      {"NotUtf8", file_of("{\"\xff\xfe\":1}", ""), "not valid JSON"},
      {"NotJson", file_of("{hello}", ""), "not valid JSON"},
      {"Array", file_of("[]", ""), "'{'"},
      {"ByteOrderMark", file_of("\xef\xbb\xbf{}", ""), "'{'"},
      {"Nul", file_of(std::string("{}\0{}", 5), ""), "NUL"},
      {"Trailing", file_of("{}{}", ""), "not valid JSON"},
      {"DepthBombArrays", file_of("{\"a\":" + deep_open, ""), "data_offsets"},
      {"DepthBombObjects", file_of(deep_objects, ""), "unknown or repeated"},
      {"MetadataNumber", file_of(R"({"__metadata__":{"a":1}})", ""), "__metadata__"},
      {"MetadataNested", file_of(R"({"__metadata__":{"a":{}}})", ""), "__metadata__"},
      {"TensorIsText", file_of(R"({"a":"b"})", ""), "where the format wants"},
      {"TensorIsNull", file_of(R"({"a":null})", ""), "null"},
      {"DuplicateTensor",
       file_of("{" + tensor("a", "U8", "[1]", "[0,1]") + "," + tensor("a", "U8", "[1]", "[1,2]") + "}", "xx"), "twice"},
      {"DuplicateField", file_of(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "x"),
       "\"dtype\""},
      {"UnknownField", file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", "x"), "\"x\""},
      {"MissingDtype", file_of(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", "x"), "lacks its dtype"},
      {"MissingShape", file_of(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", "x"), "lacks its shape"},
      {"MissingOffsets", file_of(R"({"a":{"dtype":"U8","shape":[1]}})", "x"), "lacks its two data_offsets"},
      {"ControlCharacterInName", file_of(R"({"a\u0007\n":{"dtype":"U8"}})", "x"), "a\\x07\\x0a"},
      // Offsets.
      {"BeginAfterEnd", one("F32", "[2]", "[8,0]"), "run backwards"},
      {"Overlap", two("[0,8]", "[4,12]", 12), "overlap"},
      {"SameRange", two("[0,8]", "[0,8]", 8), "overlap"},
      {"Hole", two("[0,8]", "[9,17]", 17), "hole"},
      {"HoleAtStart", one("F32", "[2]", "[4,12]", 12), "hole"},
      {"BeyondFile", two("[0,8]", "[8,16]", 8), "truncated"},
      {"Offset2to63", one("U8", "[9223372036854775808]", "[0,9223372036854775808]"), "dimension"},
      {"OffsetMax", one("U8", "[8]", "[18446744073709551607,18446744073709551615]"), "hole"},
      {"OffsetBeyond64Bits", one("U8", "[8]", "[0,18446744073709551616]"), "whole number"},
      {"OffsetNegative", one("U8", "[8]", "[-8,0]"), "negative"},
      {"OffsetFraction", one("U8", "[8]", "[0,8.0]"), "whole number"},
      {"OffsetText", one("U8", "[8]", "[\"0\",8]"), "text"},
      {"OneOffset", one("U8", "[8]", "[8]"), "lacks its two data_offsets"},
      {"ThreeOffsets", one("U8", "[8]", "[0,8,16]"), "more than two"},
      // Shapes.
      {"NegativeDimension", one("U8", "[-8]", "[0,8]"), "negative"},
      {"ZeroDimension", one("U8", "[0]", "[0,0]", 0), "dimension of 0"},
      {"NineDimensions", one("U8", "[1,1,1,1,1,1,1,1,8]", "[0,8]"), "more than 8 dimensions"},
      {"ProductOverflow", one("F32", "[4294967296,4294967296,4]", "[0,8]"), "more than 2^64"},
      {"ProductWrapsToFit", one("F32", "[4611686018427387905,2]", "[0,8]"), "more than 2^64"},
      {"ProductTooSmall", one("F32", "[1]", "[0,8]"), "data_offsets span 8"},
      {"ProductTooLarge", one("F32", "[3]", "[0,8]"), "data_offsets span 8"},
      {"NestedShape", one("U8", "[[8]]", "[0,8]"), "an array"},
      // dtypes.
      {"UnknownDtype", one("F128", "[2]", "[0,8]"), "\"F128\""},
      {"WrongCase", one("f32", "[2]", "[0,8]"), "\"f32\""},
      {"FourBit", one("F4", "[3]", "[0,2]", 2), "\"F4\""},
      {"EmptyDtype", one("", "[2]", "[0,8]"), "dtype"},
      {"DtypeNumber", file_of(R"({"a":{"dtype":4,"shape":[1],"data_offsets":[0,1]}})", "x"), "a number"},
  };
}

INSTANTIATE_TEST_SUITE_P(Table, SafetensorsRefuses, testing::ValuesIn(bad_files()),
                         [](const auto& param) { return std::string(param.param.name); });

// No prefix and no single changed byte of a good file may do worse than throw.
TEST(Safetensors, SurvivesEveryCutAndEveryChangedByte) {
  const std::string good =
      file_of(R"({"__metadata__":{"k":"v"},)" + tensor("a", "F32", "[2,1]", "[0,8]") + "}", std::string(8, 'x'));
  for (size_t cut = 0; cut < good.size(); ++cut) EXPECT_THROW(read(good.substr(0, cut)), Error) << cut;
  for (size_t at = 0; at < good.size(); ++at) {
    for (const int bit : {0x01, 0x20, 0x80, 0xff}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ bit);
      try {
        for (const TensorInfo& info : read(bad).tensors) EXPECT_LE(info.offset + info.size_bytes, bad.size());
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kBadData);
      }
    }
  }
}

}  // namespace
}  // namespace qwen
