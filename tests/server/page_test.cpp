// The page as it is served: headers, validators, and what its files may not hold. What it does is
// tests/e2e/test_page.py's.
#include <regex>
#include <set>

#include "http_fixture.h"
#include "server/handlers/handlers.h"
#include "server/handlers/page_assets.h"

namespace qwen::test {
namespace {

class Page : public HttpFixture {
 protected:
  void SetUp() override {
    add("GET", "/", page_handler());
    add("GET", "/assets/*", page_asset_handler());
    add("GET", "/favicon.ico", page_icon_handler());
    add("GET", "/docs", docs_handler());
    add("GET", "/openapi.json", openapi_handler(context_->routes, {}));
    start();
  }
  HttpAnswer fetch(const std::string& path, const std::string& more_headers = "") {
    return ask(port(), get(path, more_headers));
  }
};

std::string text_of(std::string_view path) {
  for (const PageAsset& asset : page_assets())
    if (asset.path == path) return std::string(asset.bytes);
  ADD_FAILURE() << path << " is not part of the page";
  return {};
}

std::set<std::string> all_matches(const std::string& text, const char* pattern) {
  const std::regex regex(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it) found.insert((*it)[1]);
  return found;
}

TEST_F(Page, IndexHasTheStrictHeaders) {
  const HttpAnswer answer = fetch("/");
  ASSERT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(answer.header("Cache-Control"), "no-cache");
  EXPECT_EQ(answer.header("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(answer.header("X-Frame-Options"), "DENY");
  EXPECT_EQ(answer.header("Referrer-Policy"), "no-referrer");
  EXPECT_EQ(answer.header("Cross-Origin-Opener-Policy"), "same-origin");
  EXPECT_NE(answer.header("Permissions-Policy").find("microphone=()"), std::string::npos);
  const std::string policy = answer.header("Content-Security-Policy");
  for (const char* directive : {"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
                                "img-src 'self' data:", "base-uri 'none'", "form-action 'none'",
                                "frame-ancestors 'none'", "require-trusted-types-for 'script'"})
    EXPECT_NE(policy.find(directive), std::string::npos) << directive;
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(answer.body, text_of("index.html"));
}

TEST_F(Page, TheDescriptionOfTheApiIsServedAlike) {
  const HttpAnswer docs = fetch("/docs"), document = fetch("/openapi.json");
  EXPECT_EQ(docs.header("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(docs.body, text_of("docs.html"));
  EXPECT_EQ(document.header("Content-Type"), "application/json");
  EXPECT_EQ(document.json().at("openapi"), "3.1.0");
  for (const HttpAnswer* answer : {&docs, &document}) {
    EXPECT_EQ(answer->header("Content-Security-Policy"), fetch("/").header("Content-Security-Policy"));
    EXPECT_EQ(answer->header("Cache-Control"), "no-cache");
  }
  EXPECT_EQ(fetch("/openapi.json", "If-None-Match: " + document.header("ETag") + "\r\n").status, 304);
}

TEST_F(Page, EveryFileIsServedAsWhatItIs) {
  for (const PageAsset& asset : page_assets()) {
    if (!asset.path.starts_with("assets/")) continue;
    const HttpAnswer answer = fetch("/" + std::string(asset.path));
    ASSERT_EQ(answer.status, 200) << asset.path;
    EXPECT_EQ(answer.body, asset.bytes) << asset.path;
    const std::string extension(asset.path.substr(asset.path.rfind('.') + 1));
    const std::string type = extension == "js"    ? "text/javascript; charset=utf-8"
                             : extension == "css" ? "text/css; charset=utf-8"
                                                  : "image/svg+xml";
    EXPECT_EQ(answer.header("Content-Type"), type) << asset.path;
    EXPECT_NE(answer.header("Content-Security-Policy"), "") << asset.path;
  }
  EXPECT_EQ(fetch("/favicon.ico").header("Content-Type"), "image/svg+xml");
}

TEST_F(Page, AKnownVersionIsNotSentAgain) {
  const std::string etag = fetch("/assets/main.js").header("ETag");
  ASSERT_GT(etag.size(), 10u);
  EXPECT_NE(etag, fetch("/").header("ETag"));
  for (const std::string& list : {etag, "W/" + etag, "\"other\", " + etag, std::string("*")}) {
    RawClient client(port());
    client.send(get("/assets/main.js", "If-None-Match: " + list + "\r\n"));
    const HttpAnswer answer = client.read_answer();
    EXPECT_EQ(answer.status, 304) << list;
    EXPECT_EQ(answer.header("ETag"), etag);
    EXPECT_NE(answer.header("Content-Security-Policy"), "");
    EXPECT_EQ(answer.header("Content-Length"), "");
    client.send(get("/"));  // nothing of a body stands in the way of the next answer
    EXPECT_EQ(client.read_answer().status, 200);
  }
  for (const char* list : {"\"other\"", "", ",", "W/", "\""})
    EXPECT_EQ(fetch("/assets/main.js", "If-None-Match: " + std::string(list) + "\r\n").status, 200) << list;
}

TEST_F(Page, HeadHasTheSameHeadersAndNoBody) {
  RawClient client(port());
  client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
  const HttpAnswer answer = client.read_answer(true);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("Content-Length"), std::to_string(text_of("index.html").size()));
  EXPECT_NE(answer.header("ETag"), "");
  client.send(get("/favicon.ico"));
  EXPECT_EQ(client.read_answer().status, 200);
}

TEST_F(Page, NothingElseIsServed) {
  for (const char* path :
       {"/assets/none.js", "/assets/index.html", "/assets/%2e%2e/index.html", "/index.html", "/assets/"})
    EXPECT_GE(fetch(path).status, 400) << path;
  expect_error(fetch("/assets/none.js"), 404, "not_found");
  expect_error(ask(port(), post("/", "{}")), 405, "method_not_allowed");
}

TEST(PageFiles, NameNoOtherHost) {
  const std::regex address(R"((?:https?:)?//([\w-]+\.[\w.-]+))");
  for (const PageAsset& asset : page_assets()) {
    const std::string text(asset.bytes);
    for (std::sregex_iterator it(text.begin(), text.end(), address), end; it != end; ++it)
      EXPECT_EQ((*it)[1], "www.w3.org") << asset.path;  // the name of SVG, which nobody fetches
  }
}

TEST(PageFiles, HoldNoInlineScriptAndNoStyle) {
  for (const char* page : {"index.html", "docs.html"}) {
    const std::string html = text_of(page);
    EXPECT_FALSE(std::regex_search(html, std::regex(R"(<script(?![^>]*\bsrc=))"))) << page;
    EXPECT_FALSE(std::regex_search(html, std::regex(R"(<style|\sstyle=|\son\w+=|javascript:)"))) << page;
  }
  const std::regex markup(
      R"(innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|DOMParser)");
  for (const PageAsset& asset : page_assets())
    EXPECT_FALSE(std::regex_search(std::string(asset.bytes), markup)) << asset.path;
}

TEST(PageFiles, AreAllThatTheyNameAndAllNamed) {
  std::set<std::string> named = all_matches(text_of("index.html") + text_of("docs.html"), R"re("(assets/[\w.]+)")re");
  for (const char* served : {"index.html", "docs.html", "openapi.json"}) named.insert(served);
  for (const PageAsset& asset : page_assets())
    for (const std::string& name : all_matches(std::string(asset.bytes), R"re(from "\./([\w.]+)")re"))
      named.insert("assets/" + name);
  std::set<std::string> held;
  for (const PageAsset& asset : page_assets()) held.insert(std::string(asset.path));
  EXPECT_EQ(named, held);
}

TEST(PageFiles, SayEverythingInBothLanguages) {
  const char* const key = R"(\n  (\w+): )";
  const std::set<std::string> english = all_matches(text_of("assets/words_en.js"), key);
  EXPECT_EQ(english, all_matches(text_of("assets/words_zh.js"), key));
  EXPECT_GT(english.size(), 80u);
  for (const std::string& used :
       all_matches(text_of("index.html") + text_of("docs.html"), R"re(data-t(?:-[a-z-]+)?="(\w+)")re"))
    EXPECT_TRUE(english.count(used)) << used;
  for (const PageAsset& asset : page_assets())
    for (const std::string& used : all_matches(std::string(asset.bytes), R"re(\bt\("(\w+)")re"))
      EXPECT_TRUE(english.count(used)) << asset.path << ' ' << used;
}

}  // namespace
}  // namespace qwen::test
