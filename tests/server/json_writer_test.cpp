#include "server/api/json_writer.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <random>

namespace qwen {
namespace {

TEST(JsonWriter, PlacesCommas) {
  JsonWriter json;
  json.begin_object()
      .field("a", 1)
      .key("b")
      .begin_array()
      .value("x")
      .value(true)
      .null()
      .begin_object()
      .end_object()
      .end_array();
  json.field("c", -2.5).key("d").fixed(1.0, 2).end_object();
  EXPECT_EQ(json.take(), R"({"a":1,"b":["x",true,null,{}],"c":-2.5,"d":1.00})");
}

TEST(JsonWriter, NumbersThatJsonCannotSpellAreNull) {
  JsonWriter json;
  json.begin_array()
      .value(std::numeric_limits<double>::infinity())
      .value(std::nan(""))
      .fixed(-std::numeric_limits<double>::infinity(), 3);
  EXPECT_EQ(json.end_array().take(), "[null,null,null]");
}

// Whatever bytes a model produces, the output is valid JSON on one line.
TEST(JsonWriter, AnyBytesBecomeValidJson) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes(random() % 40, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    const std::string out = JsonWriter().value(bytes).take();
    EXPECT_EQ(out.find('\n'), std::string::npos);
    EXPECT_NO_THROW(EXPECT_TRUE(nlohmann::json::parse(out).is_string())) << out;
  }
  const std::string out = JsonWriter().value("a\"\\\n\x01\xe4\xbd\xa0\xe4\xbd").take();
  EXPECT_EQ(nlohmann::json::parse(out), "a\"\\\n\x01\xe4\xbd\xa0\xef\xbf\xbd");
}

}  // namespace
}  // namespace qwen
