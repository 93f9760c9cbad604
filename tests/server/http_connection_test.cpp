// Connections over real sockets: lifetimes, order, limits, deadlines. Group H where it takes a socket, and the C rows
// that need no engine.
#include <set>

#include "base/error.h"
#include "http_fixture.h"
#include "server/http/output_queue.h"

namespace qwen::test {
namespace {

using std::chrono::milliseconds;

class HttpConnection : public HttpFixture {
 protected:
  HttpConnection() {
    add("GET", "/hello", [](Request, ResponderPtr responder) { responder->send({.body = "\"hello\""}); });
    add(
        "POST", "/echo", [](Request request, ResponderPtr responder) { responder->send({.body = request.body}); },
        1000);
    add("GET", "/echo", [](Request, ResponderPtr responder) { responder->send({.body = "\"GET echo\""}); });
    add("GET", "/throws", [](Request, ResponderPtr) { throw std::runtime_error("secret detail"); });
    add("GET", "/forgets", [](Request, ResponderPtr) {});
    add("GET", "/tail/*",
        [](Request request, ResponderPtr responder) { responder->send({.body = request.path_tail}); });
    add("GET", "/never", [this](Request, ResponderPtr responder) {
      responder->on_disconnect([this] { ++disconnects_; });
      const std::lock_guard lock(mutex_);
      held_.push_back(std::move(responder));
    });
    add("GET", "/stream", [this](Request, ResponderPtr responder) {
      responder->on_disconnect([this] { ++disconnects_; });
      responder->begin_stream({.content_type = "text/event-stream"}, ": beat\n\n");
      const std::lock_guard lock(mutex_);
      held_.push_back(std::move(responder));
    });
  }
  ~HttpConnection() override { held_.clear(); }

  ResponderPtr held(size_t index) {
    EXPECT_TRUE(eventually([&] {
      const std::lock_guard lock(mutex_);
      return held_.size() > index;
    }));
    const std::lock_guard lock(mutex_);
    return held_[index];
  }

  std::vector<ResponderPtr> held_;
  std::atomic<int> disconnects_{0};
};

TEST_F(HttpConnection, AnswersAndKeepsAlive) {
  start();
  RawClient client(port());
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(client.send(get("/hello")));
    const HttpAnswer answer = client.read_answer();
    ASSERT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "\"hello\"");
    EXPECT_EQ(answer.header("Content-Type"), "application/json");
    EXPECT_EQ(answer.header("Connection"), "");
  }
  EXPECT_EQ(open(), 1);
  client.close();
  EXPECT_TRUE(eventually([&] { return open() == 0; }));
}

TEST_F(HttpConnection, PipelinedRequestsAreAnsweredInOrder) {
  start();
  RawClient client(port());
  client.send(post("/echo", "1") + get("/hello") + post("/echo", "3") + get("/nothing") + get("/hello"));
  EXPECT_EQ(client.read_answer().body, "1");
  EXPECT_EQ(client.read_answer().body, "\"hello\"");
  EXPECT_EQ(client.read_answer().body, "3");
  expect_error(client.read_answer(), 404, "not_found");
  EXPECT_EQ(client.read_answer().body, "\"hello\"");
}

TEST_F(HttpConnection, PipelinedRequestWaitsForTheStreamBeforeIt) {
  start();
  RawClient client(port());
  client.send(get("/stream") + get("/hello"));
  const ResponderPtr stream = held(0);
  stream->write("data: 1\n\n");
  stream->finish();
  EXPECT_EQ(client.read_answer().body, "data: 1\n\n");
  EXPECT_EQ(client.read_answer().body, "\"hello\"");
}

TEST_F(HttpConnection, ConnectionCloseAndHttp10) {
  start();
  for (const char* request :
       {"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /hello HTTP/1.0\r\n\r\n"}) {
    RawClient client(port());
    client.send(request);
    const HttpAnswer answer = client.read_answer();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.header("Connection"), "close");
    EXPECT_TRUE(client.closed_by_server());
  }
  RawClient keep(port());
  for (int i = 0; i < 2; ++i) {
    keep.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(keep.read_answer().header("Connection"), "keep-alive");
  }
}

TEST_F(HttpConnection, StreamsToHttp10WithoutChunks) {
  start();
  RawClient client(port());
  client.send("GET /stream HTTP/1.0\r\n\r\n");
  const ResponderPtr stream = held(0);
  stream->write("data: 1\n\n");
  stream->finish();
  const HttpAnswer answer = client.read_answer();
  EXPECT_EQ(answer.header("Transfer-Encoding"), "");
  EXPECT_EQ(answer.body, "data: 1\n\n");
}

TEST_F(HttpConnection, RoutesMethodsAndHead) {
  start();
  expect_error(ask(port(), get("/nothing")), 404, "not_found");
  expect_error(ask(port(), get("/hello/")), 404, "not_found");
  expect_error(ask(port(), get("//hello")), 404, "not_found");
  expect_error(ask(port(), get("/tail/")), 404, "not_found");
  EXPECT_EQ(ask(port(), get("/tail/a/b")).body, "a/b");
  const HttpAnswer wrong = ask(port(), post("/hello", "{}"));
  expect_error(wrong, 405, "method_not_allowed");
  EXPECT_EQ(wrong.header("Allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(ask(port(), "TRACE /echo HTTP/1.1\r\nHost: a\r\n\r\n").header("Allow"), "POST, GET, HEAD, OPTIONS");
  RawClient client(port());
  client.send("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n" + get("/hello"));
  const HttpAnswer head = client.read_answer(true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("Content-Length"), "7");
  EXPECT_EQ(client.read_answer().body, "\"hello\"");
  const HttpAnswer options = ask(port(), "OPTIONS /echo HTTP/1.1\r\nHost: a\r\nOrigin: http://evil\r\n\r\n");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.header("Allow"), "POST, GET, HEAD, OPTIONS");
  EXPECT_EQ(options.head.find("Access-Control"), std::string::npos);
  EXPECT_EQ(ask(port(), "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").status, 204);
}

TEST_F(HttpConnection, RequestIdsAreTheCallersWhereHarmless) {
  start();
  EXPECT_EQ(ask(port(), get("/hello", "X-Request-Id: abc-1.2_3\r\n")).header("X-Request-Id"), "abc-1.2_3");
  std::set<std::string> ids;
  const std::string utf8 = "\xe4\xbd\xa0", lengthy(65, 'a');
  for (const std::string& bad : {std::string("a b"), std::string("\"quoted\""), utf8, lengthy, std::string()}) {
    const std::string id = ask(port(), get("/hello", "X-Request-Id: " + bad + "\r\n")).header("X-Request-Id");
    EXPECT_EQ(id.substr(0, 4), "req-") << bad;
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 5u);
}

TEST_F(HttpConnection, AHandlerThatFailsOrForgetsIsA500WithoutDetails) {
  start();
  for (const char* path : {"/throws", "/forgets"}) {
    const HttpAnswer answer = ask(port(), get(path));
    expect_error(answer, 500, "internal_error");
    EXPECT_EQ(answer.body.find("secret"), std::string::npos);
    EXPECT_NE(answer.body.find(answer.header("X-Request-Id")), std::string::npos);
  }
  EXPECT_EQ(ask(port(), get("/hello")).status, 200);
}

// The bytes after an ambiguous request must never run as a second one.
TEST_F(HttpConnection, AmbiguousFramingEndsTheConnection) {
  start();
  const std::string smuggled = get("/hello");
  const std::vector<std::pair<std::string, int>> rows = {
      {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
      {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nContent-Length: 40\r\n\r\n", 400},
      {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
      {"GET /hello HTTP/1.1\nHost: a\n\n", 400},
      {"GET /hello HTTP/1.1\r\n\r\n", 400},
      {"\x16\x03\x01\x02", 400},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"GET /hello HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n", 400},
      {"GET /" + std::string(70'000, 'a'), 414},
      {"GET /hello HTTP/1.1\r\nHost: a\r\nX: " + std::string(70'000, 'a'), 431},
  };
  for (const auto& [bytes, status] : rows) {
    RawClient client(port());
    client.send(bytes + smuggled);
    const HttpAnswer answer = client.read_answer();
    EXPECT_EQ(answer.status, status) << bytes.substr(0, 80);
    EXPECT_EQ(answer.header("Connection"), "close");
    EXPECT_TRUE(client.closed_by_server()) << bytes.substr(0, 80);
  }
  for (const AccessRecord& record : records()) EXPECT_NE(record.status, 200);
}

TEST_F(HttpConnection, BodiesNobodyAskedForAreConsumed) {
  start();
  RawClient client(port());
  client.send("GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + get("/tail/x"));
  EXPECT_EQ(client.read_answer().body, "\"hello\"");
  EXPECT_EQ(client.read_answer().body, "x");
}

TEST_F(HttpConnection, TooLargeBodiesAreRefusedUnread) {
  start();
  RawClient client(port());
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10000000\r\n\r\n");
  expect_error(client.read_answer(), 413, "request_too_large");
  EXPECT_TRUE(client.closed_by_server());
  RawClient chunked(port());
  chunked.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 40 && chunked.send("400\r\n" + std::string(1024, 'a') + "\r\n"); ++i) {
  }
  expect_error(chunked.read_answer(), 413, "request_too_large");
}

TEST_F(HttpConnection, MediaTypes) {
  start();
  const auto with = [&](const std::string& header) {
    return ask(port(), "POST /echo HTTP/1.1\r\nHost: a\r\n" + header + "Content-Length: 2\r\n\r\n{}");
  };
  EXPECT_EQ(with("").status, 200);
  EXPECT_EQ(with("Content-Type: application/json\r\n").status, 200);
  EXPECT_EQ(with("Content-Type: Application/JSON; charset=UTF-8\r\n").status, 200);
  EXPECT_EQ(with("Content-Encoding: identity\r\n").status, 200);
  for (const char* header : {"Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n",
                             "Content-Type: application/json; charset=utf-16\r\n", "Content-Encoding: gzip\r\n"})
    expect_error(with(header), 415, "unsupported_media_type");
}

TEST_F(HttpConnection, ExpectContinue) {
  start();
  RawClient client(port());
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("{}");
  EXPECT_EQ(client.read_answer().body, "{}");
  RawClient large(port());
  large.send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 20000\r\n\r\n");
  EXPECT_EQ(large.read_answer().status, 413);
  EXPECT_EQ(ask(port(), "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 2\r\n\r\n").status, 417);
}

TEST_F(HttpConnection, IncompleteRequests) {
  start();
  RawClient body(port());
  body.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{}");
  body.half_close();
  expect_error(body.read_answer(), 400, "bad_request");
  RawClient head(port());
  head.send("GET /hello HT");
  head.half_close();
  expect_error(head.read_answer(), 400, "bad_request");
}

TEST_F(HttpConnection, SlowRequestsTimeOut) {
  limits().header_timeout = milliseconds(150);
  limits().body_timeout = milliseconds(150);
  limits().idle_timeout = milliseconds(150);
  start();
  RawClient slow_head(port());
  slow_head.send("GET /hello HTTP/1.1\r\n");
  const HttpAnswer late = slow_head.read_answer();
  expect_error(late, 408, "request_timeout");
  EXPECT_TRUE(slow_head.closed_by_server());
  RawClient slow_body(port());
  slow_body.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{");
  expect_error(slow_body.read_answer(), 408, "request_timeout");
  RawClient silent(port());
  EXPECT_TRUE(silent.closed_by_server());
  RawClient idle(port());
  idle.send(get("/hello"));
  EXPECT_EQ(idle.read_answer().status, 200);
  EXPECT_TRUE(idle.closed_by_server());
  EXPECT_TRUE(eventually([&] { return open() == 0; }));
}

TEST_F(HttpConnection, ALostClientIsNoticedWhileItWaits) {
  start();
  for (const bool reset : {false, true}) {
    for (const char* path : {"/never", "/stream"}) {
      const int before = disconnects_;
      RawClient client(port());
      client.send(get(path));
      EXPECT_TRUE(eventually([&] {
        const std::lock_guard lock(mutex_);
        return held_.size() == static_cast<size_t>(before) + 1;
      }));
      reset ? client.reset() : client.close();
      EXPECT_TRUE(eventually([&] { return disconnects_ == before + 1; }, kASecond));
      EXPECT_TRUE(held(static_cast<size_t>(before))->client_gone());
      held(static_cast<size_t>(before))->send({.body = "too late"});  // does nothing
    }
  }
  EXPECT_TRUE(eventually([&] { return open() == 0; }));
  for (const AccessRecord& record : records()) EXPECT_EQ(record.status, 499);
}

TEST_F(HttpConnection, AReaderThatStopsIsCutOffAndDelaysNobody) {
  start(1);
  RawClient stalled(port(), 4096);
  stalled.send(get("/stream"));
  const ResponderPtr stream = held(0);
  const std::string event = "data: " + std::string(8000, 'x') + "\n\n";
  for (int i = 0; i < 4000 && !stream->client_gone(); ++i) {
    stream->write(event);
    if (i % 100 == 0) {
      EXPECT_EQ(ask(port(), get("/hello")).status, 200);
    }
  }
  EXPECT_TRUE(eventually([&] { return disconnects_ == 1; }));
  for (const AccessRecord& record : records()) {
    if (record.path != "/stream") continue;
    EXPECT_EQ(record.status, 499);
    EXPECT_EQ(record.code, "slow_client");
  }
}

TEST_F(HttpConnection, OneLargeEventIsNoBacklog) {
  start();
  RawClient client(port());
  client.send(get("/stream"));
  const std::string event(2 << 20, 'x');
  held(0)->write(event);
  EXPECT_TRUE(eventually([&] { return client.read_exactly(1 << 20).size() == 1 << 20; }));
  client.read_until("xx\r\n");
  held(0)->finish();
  EXPECT_EQ(client.read_until("0\r\n\r\n"), "0\r\n\r\n");
}

TEST_F(HttpConnection, AClientThatAcceptsNothingIsDroppedInTime) {
  limits().write_stall_timeout = milliseconds(300);
  limits().max_stream_buffer = 64 << 20;
  start();
  RawClient stalled(port(), 4096);
  stalled.send(get("/stream"));
  held(0)->write(std::string(32 << 20, 'x'));
  EXPECT_TRUE(eventually([&] { return disconnects_ == 1; }));
}

TEST_F(HttpConnection, SilentStreamsGetHeartbeats) {
  limits().heartbeat = milliseconds(100);
  start();
  RawClient client(port());
  client.send(get("/stream"));
  client.read_until("\r\n\r\n");
  EXPECT_EQ(client.read_until(": beat\n\n\r\n"), "8\r\n: beat\n\n\r\n");
  EXPECT_EQ(client.read_until(": beat\n\n\r\n"), "8\r\n: beat\n\n\r\n");
}

TEST_F(HttpConnection, TooMuchPipelinedInputCloses) {
  start();
  RawClient client(port());
  client.send(get("/never"));
  held(0);
  const std::string flood(10'000'000, 'x');
  client.send(flood);
  EXPECT_TRUE(eventually([&] { return disconnects_ == 1; }));
}

TEST_F(HttpConnection, OneConnectionTooManyIsTold) {
  limits().max_connections = 3;
  start();
  std::vector<RawClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back(port());
    clients.back().send(get("/hello"));
    EXPECT_EQ(clients.back().read_answer().status, 200);
  }
  RawClient extra(port());
  const HttpAnswer refused = extra.read_answer();
  expect_error(refused, 503, "server_overloaded");
  EXPECT_EQ(refused.header("Retry-After"), "1");
  clients.pop_back();
  EXPECT_TRUE(eventually([&] { return open() == 2; }));
  EXPECT_EQ(ask(port(), get("/hello")).status, 200);
}

TEST_F(HttpConnection, LargeBodiesHaveACommonBudget) {
  limits().small_body_bytes = 100;
  limits().max_buffered_body_bytes = 2500;
  start();
  const std::string head = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", body(1000, '1');
  const auto used = [&](size_t bytes) { return eventually([&] { return context_->bodies.used() == bytes; }); };
  RawClient first(port());
  first.send(head + body.substr(0, 90));  // announced is not held, and little counts for nothing
  first.send(body.substr(90, 5));
  EXPECT_EQ(ask(port(), head + body).body, body);
  ASSERT_TRUE(used(0));
  first.send(body.substr(95, 900));
  ASSERT_TRUE(used(995));
  expect_error(ask(port(), head + body), 503, "server_overloaded");
  EXPECT_EQ(ask(port(), post("/echo", "[]")).body, "[]");
  first.send(body.substr(995));
  EXPECT_EQ(first.read_answer().body, body);
  EXPECT_EQ(ask(port(), head + body).body, body);
  RawClient gone(port());
  gone.send(head + body.substr(1));
  ASSERT_TRUE(used(999));
  gone.reset();
  EXPECT_TRUE(used(0));
  ASSERT_TRUE(eventually([&] { return records().size() == 6; }));
  EXPECT_EQ(records().back().status, 499);
}

// Clients that ask for much and read nothing hold what the budget allows; small answers are not theirs to deny.
TEST_F(HttpConnection, LargeAnswersHaveTheSameBudget) {
  limits().small_body_bytes = 100;
  limits().max_buffered_body_bytes = 48 << 20;
  limits().write_stall_timeout = milliseconds(300);
  add("GET", "/large", [](Request, ResponderPtr responder) { responder->send({.body = std::string(32 << 20, 'x')}); });
  start();
  RawClient first(port(), 4096);
  first.send(get("/large"));
  ASSERT_TRUE(eventually([&] { return context_->bodies.used() == 32 << 20; }));
  expect_error(ask(port(), get("/large")), 503, "server_overloaded");
  EXPECT_EQ(ask(port(), get("/hello")).status, 200);
  EXPECT_TRUE(eventually([&] { return context_->bodies.used() == 0; }));  // cut off
  EXPECT_EQ(ask(port(), get("/large")).body.size(), 32u << 20);
}

// Taking a little now and then is no way to hold an answer for ever.
TEST(OutputQueue, StallsWhereNextToNothingIsTaken) {
  const OutputQueue::TimePoint start{};
  OutputQueue queue;
  EXPECT_FALSE(queue.stalled(start + kASecond, milliseconds(10)));  // nothing to take
  queue.append(std::string(1 << 20, 'x'), start);
  const auto take = [&](size_t bytes) {
    queue.front();
    queue.consume(bytes);
  };
  take(OutputQueue::kLeastTaken);
  EXPECT_FALSE(queue.stalled(start + milliseconds(10), milliseconds(10)));
  EXPECT_FALSE(queue.stalled(start + milliseconds(11), milliseconds(10)));
  take(OutputQueue::kLeastTaken - 1);
  EXPECT_FALSE(queue.stalled(start + milliseconds(20), milliseconds(10)));
  EXPECT_TRUE(queue.stalled(start + milliseconds(22), milliseconds(10)));
  take(queue.size());
  EXPECT_TRUE(queue.empty());
  EXPECT_FALSE(queue.stalled(start + kASecond, milliseconds(10)));
}

// An attacker who takes every place with connections that ask for nothing keeps nobody out for long.
TEST_F(HttpConnection, TheOneIdleLongestGivesWay) {
  limits().max_connections = 8;
  limits().eviction_age = milliseconds(50);
  start();
  RawClient busy(port());
  busy.send(get("/stream"));
  const ResponderPtr stream = held(0);
  std::vector<RawClient> idle;
  for (int i = 0; i < 7; ++i) {
    idle.emplace_back(port());
    if (i % 2 == 0) idle.back().send("GET /he");  // a head that never ends
    ASSERT_TRUE(eventually([&] { return open() == i + 2; }));
  }
  std::this_thread::sleep_for(milliseconds(150));
  std::vector<RawClient> later;
  for (int i = 0; i < 4; ++i) {
    later.emplace_back(port());
    later.back().send(get("/hello"));
    EXPECT_EQ(later.back().read_answer().status, 200);
    EXPECT_LE(open(), 8);
  }
  stream->write("data: 1\n\n");
  stream->finish();
  EXPECT_EQ(busy.read_answer().body, "data: 1\n\n");
}

TEST_F(HttpConnection, AStreamThatNobodyFinishesEnds) {
  start();
  RawClient client(port());
  client.send(get("/stream"));
  held(0)->write("data: 1\n\n");
  {
    const std::lock_guard lock(mutex_);
    held_.clear();
  }
  client.read_until("data: 1\n\n\r\n");
  EXPECT_TRUE(client.closed_by_server());
  EXPECT_TRUE(eventually([&] { return open() == 0 && context_->streams_open == 0; }));
}

TEST_F(HttpConnection, EveryRequestLeavesOneRecord) {
  start();
  RawClient client(port());
  client.send(get("/hello", "X-Request-Id: one\r\n") + get("/nothing"));
  client.read_answer();
  client.read_answer();
  ask(port(), "garbage\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return records().size() == 3; }));
  EXPECT_EQ(records()[0].path, "/hello");
  EXPECT_EQ(records()[0].request_id, "one");
  EXPECT_EQ(records()[0].status, 200);
  EXPECT_EQ(records()[1].code, "not_found");
  EXPECT_EQ(records()[2].method, "-");
  EXPECT_EQ(records()[2].status, 400);
}

TEST_F(HttpConnection, CallsFromManyThreadsKeepTheirOrder) {
  start();
  RawClient client(port());
  client.send(get("/stream"));
  const ResponderPtr stream = held(0);
  std::string expected;
  std::thread([&] {
    for (int i = 0; i < 2000; ++i) stream->write("data: " + std::to_string(i) + "\n\n");
    stream->finish();
  }).join();
  for (int i = 0; i < 2000; ++i) expected += "data: " + std::to_string(i) + "\n\n";
  EXPECT_EQ(client.read_answer().body, expected);
}

TEST_F(HttpConnection, ConnectAndAbortStorm) {
  start();
  for (int i = 0; i < 1000; ++i) {
    RawClient client(port());
    if (i % 3 == 1) client.send("GET /he");
    if (i % 3 == 2) client.send(get("/never"));
    if (i % 2 == 0) client.reset();
  }
  EXPECT_TRUE(eventually([&] { return open() == 0; }));
  EXPECT_EQ(ask(port(), get("/hello")).status, 200);
}

TEST(Listener, APortInUseIsAnErrorThatNamesIt) {
  const auto loop = std::make_shared<IoLoop>();
  const auto context = std::make_shared<ConnectionContext>();
  {
    const Listener first({loop}, context, "127.0.0.1", 0);
    try {
      const Listener second({loop}, context, "127.0.0.1", first.port());
      ADD_FAILURE() << "bound twice";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kOs);
      EXPECT_NE(std::string(e.what()).find(std::to_string(first.port())), std::string::npos);
    }
  }
  loop->stop();  // what a listener left on it goes
}

}  // namespace
}  // namespace qwen::test
