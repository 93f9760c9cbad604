// Expected: the tokens of jinja2's own lexer, with trim_blocks and lstrip_blocks.
#include "text/jinja_tokens.h"

#include <gtest/gtest.h>

namespace qwen {
namespace {

// "t<a >p<>n<x>"
std::string tokens(const std::string& text) {
  const auto found = jinja_tokens(text);
  if (!found) return "nothing";
  std::string out;
  for (const JinjaToken& token : *found) out += static_cast<char>(token.kind) + ("<" + token.text + ">");
  return out;
}

TEST(JinjaTokens, WhiteSpaceThatWritesNothingIsDropped) {
  EXPECT_EQ(tokens("a {{ x }} c"), "t<a >p<>n<x>t< c>");
  EXPECT_EQ(tokens("a {{- x -}} c"), "t<a>p<>n<x>t<c>");
  EXPECT_EQ(tokens("a\n  {% if x %}\n  b\n  {# c #}\nd\n"), "t<a\n>s<>n<if>n<x>t<  b\nd>");
  EXPECT_EQ(tokens("a {% if x %}b"), "t<a >s<>n<if>n<x>t<b>");
  EXPECT_EQ(tokens("{{ x }} {% if y %}"), "p<>n<x>t< >s<>n<if>n<y>");
  EXPECT_EQ(tokens("{% if y %} {% if z %}"), "s<>n<if>n<y>t< >s<>n<if>n<z>");
  EXPECT_EQ(tokens("{% if y %}\n {% if z %}"), "s<>n<if>n<y>s<>n<if>n<z>");
  EXPECT_EQ(tokens("  {%+ if y +%}\nz"), "t<  >s<>n<if>n<y>t<\nz>");
  EXPECT_EQ(tokens("a{# b #}c"), "t<ac>");
  EXPECT_EQ(tokens("a\r\nb\rc\r\n"), "t<a\nb\nc>");
}

TEST(JinjaTokens, InsideATag) {
  EXPECT_EQ(tokens("{{a.b [ 1 ]|c( 'd', x==y )}}"), "p<>n<a>o<.>n<b>o<[>n<1>o<]>o<|>n<c>o<(>q<d>o<,>n<x>o<==>n<y>o<)>");
  EXPECT_EQ(tokens("{{ 'q\\'\"\\n\\t\\\\' ~ \"q'\\\"\" }}"), "p<>q<q'\"\n\t\\>o<~>q<q'\">");
  EXPECT_EQ(tokens("{{ '}}' }}{ {}"), "p<>q<}}>t<{ {}>");
  EXPECT_EQ(tokens("{{ 'a' }}"), tokens("{{\"a\"}}"));
  EXPECT_NE(tokens("{{ 'b' }}"), tokens("{{ '\\b' }}"));
  EXPECT_NE(tokens("{{ 'A' }}"), tokens("{{ '\\x41' }}"));
  EXPECT_NE(tokens("{{ '\\\\b' }}"), tokens("{{ '\\b' }}"));
  EXPECT_NE(tokens("{{ a }}"), tokens("{% a %}"));
  EXPECT_NE(tokens("{{ a < = b }}"), tokens("{{ a <= b }}"));
}

TEST(JinjaTokens, NothingWhereATagOrAStringIsOpen) {
  for (const char* text : {"{{", "{{ a", "{% if", "{#", "{{ 'a }}", "{{ 'a\\", "a{{- "})
    EXPECT_EQ(tokens(text), "nothing");
  EXPECT_EQ(tokens(""), "");
  EXPECT_EQ(tokens(std::string((1 << 20) + 1, 'a')), "nothing");
  EXPECT_EQ(tokens("{{" + std::string(200000, '+') + "}}"), "nothing");
}

TEST(JinjaTokens, DigestsTellSequencesApart) {
  using Kind = JinjaToken::Kind;
  const auto digest = [](std::vector<JinjaToken> list) { return digest_of(list); };
  EXPECT_EQ(digest({{Kind::kName, "a"}}), digest({{Kind::kName, "a"}}));
  EXPECT_NE(digest({{Kind::kName, "a"}}), digest({{Kind::kString, "a"}}));
  EXPECT_NE(digest({{Kind::kName, "a"}, {Kind::kName, "b"}}), digest({{Kind::kName, "a1:nb"}}));
}

}  // namespace
}  // namespace qwen
