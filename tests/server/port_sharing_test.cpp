// A port that several processes share: who takes a connection, and how it closes without losing one.
#include "server/http/port_sharing.h"

#include <fcntl.h>
#include <poll.h>

#include "http_fixture.h"

namespace qwen::test {
namespace {

using std::chrono::milliseconds;

class SharedPort : public HttpFixture {
 protected:
  void SetUp() override {
    add("GET", "/hello", [](Request, ResponderPtr responder) { responder->send({.body = "hello"}); });
  }
  bool closes() {
    return eventually([&] { return listener_->closed(); });
  }
  bool taken(int connections) {
    return eventually([&] { return open() >= connections; }, milliseconds(200));
  }

  std::atomic<Turn> turn_{Turn::kNotNow};  // asked for until the loops have stopped
};

TEST_F(SharedPort, WhoConnectsBeforeALatePortOpensIsRefused) {
  start(2, {.opens_late = true});
  EXPECT_FALSE(RawClient(port()).connected());
  listener_->start();
  EXPECT_EQ(ask(port(), get("/hello")).body, "hello");
}

TEST_F(SharedPort, AConnectionThatIsOthersTurnIsLeftInTheQueue) {
  start(2, {.turn = [this] { return turn_.load(); }});
  RawClient client(port());
  client.send(get("/hello"));
  EXPECT_FALSE(taken(1));
  turn_ = Turn::kAfterAMoment;
  EXPECT_EQ(client.read_answer().body, "hello");
  turn_ = Turn::kTake;
  EXPECT_EQ(ask(port(), get("/hello")).body, "hello");
}

TEST_F(SharedPort, WhatWaitsInTheQueueIsAnsweredWhenThePortCloses) {
  start(2, {.turn = [] { return Turn::kNotNow; }});
  std::vector<RawClient> clients;
  for (int i = 0; i < 20; ++i) {
    clients.emplace_back(port());
    clients.back().send(get("/hello"));
  }
  EXPECT_EQ(open(), 0);
  listener_->finish();
  for (RawClient& client : clients) EXPECT_EQ(client.read_answer().body, "hello");
  ASSERT_TRUE(closes());
  EXPECT_FALSE(RawClient(port()).connected());
}

TEST_F(SharedPort, AWorkerThatStopsLeavesThePortToTheOthers) {
  start();
  const int inherited = ::dup(listener_->socket());
  const auto loop = std::make_shared<IoLoop>();
  {
    Listener worker({loop}, context_, "127.0.0.1", 0, {.inherited_socket = inherited, .closes_for_all = false});
    EXPECT_EQ(worker.port(), port());
    loop->start();
    worker.start();
    worker.finish();
    EXPECT_TRUE(eventually([&] { return worker.closed(); }));
  }
  EXPECT_EQ(ask(port(), get("/hello")).body, "hello");
  loop->stop();
}

TEST_F(SharedPort, NobodyNewConnectsOnceHandshakesHaveEnded) {
  start(2, {.turn = [] { return Turn::kNotNow; }});
  RawClient before(port());
  before.send(get("/hello"));
  end_handshakes(listener_->socket());
  const int late = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(late, reinterpret_cast<sockaddr*>(&address), sizeof address), -1);
  pollfd done{late, POLLOUT, 0};
  EXPECT_EQ(::poll(&done, 1, 200), 0) << "neither connected nor refused as yet";
  listener_->finish();
  EXPECT_EQ(before.read_answer().body, "hello");
  ASSERT_TRUE(closes());
  EXPECT_EQ(::poll(&done, 1, 5000), 1);
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(late, SOL_SOCKET, SO_ERROR, &error, &size);
  EXPECT_EQ(error, ECONNREFUSED) << "a balancer may ask elsewhere";
  ::close(late);
}

}  // namespace
}  // namespace qwen::test
