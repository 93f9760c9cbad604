// What is recorded of a request however it ends: whose fault it was, what was refused for want of what, and the id that
// its caller gave it.
#include "base/error.h"
#include "http_fixture.h"
#include "server/handlers/handler_context.h"

namespace qwen::test {
namespace {

using std::chrono::milliseconds;

class AccessRecords : public HttpFixture {
 protected:
  AccessRecords() {
    add("GET", "/hello", [](Request, ResponderPtr responder) { responder->send({.body = "\"hello\""}); });
    add(
        "POST", "/echo", [](Request request, ResponderPtr responder) { responder->send({.body = request.body}); },
        1000);
    for (const char* path : {"/never", "/stream"})
      add("GET", path, [this, stream = path[1] == 's'](Request, ResponderPtr responder) {
        if (stream) responder->begin_stream({.content_type = "text/event-stream"}, ": beat\n\n");
        const std::lock_guard lock(mutex_);
        held_.push_back(std::move(responder));
      });
  }
  ~AccessRecords() override { forget(); }

  bool holds(size_t count) {
    return eventually([&] {
      const std::lock_guard lock(mutex_);
      return held_.size() == count;
    });
  }
  void forget() {
    std::vector<ResponderPtr> dropped;
    const std::lock_guard lock(mutex_);
    dropped.swap(held_);
  }
  // The one record that there is.
  AccessRecord only() {
    EXPECT_TRUE(eventually([&] { return !records().empty(); }));
    const auto all = records();
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? AccessRecord{} : all.front();
  }

  std::vector<ResponderPtr> held_;
};

TEST_F(AccessRecords, AClientThatLeavesIsA499) {
  start();
  RawClient client(port());
  client.send(get("/never"));
  ASSERT_TRUE(holds(1));
  client.close();
  EXPECT_EQ(only().status, kClientGone);
  EXPECT_EQ(only().code, "");
}

TEST_F(AccessRecords, AStreamThatNobodyFinishesIsTheServersFault) {
  start();
  RawClient client(port());
  client.send(get("/stream"));
  ASSERT_TRUE(holds(1));
  forget();
  EXPECT_EQ(only().status, 500);
  EXPECT_EQ(only().code, "internal_error");
}

TEST_F(AccessRecords, ALoopThatStopsIsNoClientThatLeft) {
  start();
  RawClient waiting(port()), streaming(port()), half(port());
  waiting.send(get("/never"));
  streaming.send(get("/stream"));
  half.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{");
  ASSERT_TRUE(holds(2));
  ASSERT_TRUE(eventually([&] { return open() == 3; }));
  std::this_thread::sleep_for(milliseconds(50));
  stop();
  ASSERT_EQ(records().size(), 3u);
  for (const AccessRecord& record : records()) {
    EXPECT_EQ(record.status, 503) << record.path;
    EXPECT_EQ(record.code, "draining") << record.path;
  }
}

TEST_F(AccessRecords, WhatIsThrownInAConnectionIsTheServersFault) {
  fail_next_record_ = true;
  start();
  RawClient client(port());
  client.send(get("/hello"));
  EXPECT_EQ(only().status, 500);
  EXPECT_EQ(only().code, "internal_error");
}

TEST_F(AccessRecords, AFloodBehindARequestIsABadRequest) {
  start();
  RawClient client(port());
  client.send(get("/never"));
  ASSERT_TRUE(holds(1));
  client.send(std::string(10'000'000, 'x'));
  EXPECT_EQ(only().status, 400);
}

TEST_F(AccessRecords, ShortagesAreToldApart) {
  limits().max_connections = 1;
  limits().small_body_bytes = 100;
  limits().max_buffered_body_bytes = 500;
  start();
  RawClient first(port());
  first.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 600\r\n\r\n" + std::string(600, '1'));
  expect_error(first.read_answer(), 503, "server_overloaded");
  EXPECT_EQ(only().shortage, Shortage::kMemory);
  first.close();
  ASSERT_TRUE(eventually([&] { return open() == 0; }));
  RawClient only_one(port());
  ASSERT_TRUE(eventually([&] { return open() == 1; }));
  expect_error(RawClient(port()).read_answer(), 503, "server_overloaded");
  ASSERT_TRUE(eventually([&] { return records().size() == 2; }));
  EXPECT_EQ(records().back().shortage, Shortage::kConnections);
}

TEST_F(AccessRecords, RefusedCallersGetTheirIdsBack) {
  limits().header_timeout = milliseconds(200);
  start();
  const std::string mine = "X-Request-Id: mine-1\r\n", line = "GET /hello HTTP/1.1\r\nHost: a\r\n";
  const std::string post_line = "POST /echo HTTP/1.1\r\nHost: a\r\n";
  std::string many;
  for (int i = 0; i < 120; ++i) many += "X: 1\r\n";
  const std::vector<std::pair<std::string, int>> rows = {
      {post_line + "Expect: 200-ok\r\nContent-Length: 2\r\n" + mine + "\r\n{}", 417},
      {post_line + "Transfer-Encoding: gzip\r\n" + mine + "\r\n", 501},
      {post_line + "Content-Length: 1\r\nContent-Length: 2\r\n" + mine + "\r\n", 400},
      {"GET /hello HTTP/1.1\r\n" + mine + "\r\n", 400},
      {"GET /hello HTTP/2.0\r\nHost: a\r\n" + mine + "\r\n", 505},
      {line + "bad name: 1\r\n" + mine + "\r\n", 400},
      {line + mine + many + "\r\n", 431},
      {line + mine + "X: " + std::string(70'000, 'a'), 431},
      {line + mine, 408},
      {post_line + "Content-Length: 10000000\r\n" + mine + "\r\n", 413},
  };
  for (const auto& [bytes, status] : rows) {
    const HttpAnswer answer = ask(port(), bytes);
    EXPECT_EQ(answer.status, status) << bytes.substr(0, 100);
    EXPECT_EQ(answer.header("X-Request-Id"), "mine-1") << bytes.substr(0, 100);
  }
  for (const std::string& fields : {mine + mine, std::string("X-Request-Id: a b\r\n"), std::string("Y: 1\r\n")}) {
    const HttpAnswer answer = ask(port(), "GET /hello HTTP/1.1\r\n" + fields + "\r\n");
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(answer.header("X-Request-Id").substr(0, 4), "req-") << fields;
  }
  // Of a field that has not ended nobody knows the value, and a body is no head.
  EXPECT_EQ(ask(port(), line + "X-Request-Id: cut").header("X-Request-Id").substr(0, 4), "req-");
  EXPECT_EQ(ask(port(), "GET / HTTP/1.1\r\n\r\n" + mine + "\r\n").header("X-Request-Id").substr(0, 4), "req-");
}

// Work that waits for a text thread when the server stops is refused, not lost.
TEST_F(AccessRecords, WorkThatIsStillQueuedAtTheEndIsToldWhy) {
  const ServiceConfig config;
  GenerationService service;
  WorkerPool workers(1, 10);
  const HandlerContext context{config, service, workers};
  std::atomic<bool> blocked{false}, go{false};
  add("GET", "/work", [&](Request request, ResponderPtr responder) {
    run_on_worker(context, std::move(request), std::move(responder), [&](Request&, const ResponderPtr& out) {
      blocked = true;
      while (!go) std::this_thread::sleep_for(milliseconds(1));
      out->send({.body = "1"});
    });
  });
  start(1);
  RawClient running(port()), queued(port());
  running.send(get("/work"));
  ASSERT_TRUE(eventually([&] { return blocked.load(); }));
  queued.send(get("/work"));
  EXPECT_EQ(ask(port(), get("/hello")).status, 200);  // the one loop has taken the request before this one
  std::thread stopper([&] { workers.stop(); });
  expect_error(queued.read_answer(), 503, "draining");
  go = true;
  EXPECT_EQ(running.read_answer().body, "1");
  stopper.join();
}

}  // namespace
}  // namespace qwen::test
