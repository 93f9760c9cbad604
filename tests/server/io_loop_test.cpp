// The event loop without sockets: order of tasks, failures that stay where they are, members that leave while they are
// called.
#include "server/http/io_loop.h"

#include <gtest/gtest.h>

#include <future>
#include <stdexcept>

#include "raw_client.h"
#include "server/http/connection_count.h"

namespace qwen::test {
namespace {

using Clock = std::chrono::steady_clock;

struct Member final : LoopMember {
  explicit Member(IoLoop& of) : loop(of) {}
  void tick(TimePoint) override {
    ++ticks;
    if (throws) throw std::runtime_error("this member's own trouble");
    if (leaves) loop.remove(this);
  }
  void drain() override { ++drains; }
  void abort() override {
    ++aborts;
    loop.remove(this);
  }
  std::optional<TimePoint> waiting_since() const override { return since; }

  IoLoop& loop;
  std::atomic<int> ticks{0}, drains{0}, aborts{0};
  bool throws = false, leaves = false;
  std::optional<TimePoint> since;
};

class Loop : public testing::Test {
 protected:
  Loop() { loop_.start(); }
  ~Loop() override { loop_.stop(); }

  std::shared_ptr<Member> add(const std::function<void(Member&)>& change = {}) {
    auto member = std::make_shared<Member>(loop_);
    if (change) change(*member);
    run([&] { loop_.add(member); });
    return member;
  }
  void run(const std::function<void()>& task) {
    std::promise<void> done;
    ASSERT_TRUE(loop_.post([&] {
      task();
      done.set_value();
    }));
    done.get_future().wait();
  }

  IoLoop loop_;
};

TEST_F(Loop, TasksRunInOrderAndPacedOnesInBatches) {
  std::vector<int> order;
  std::promise<void> done;
  for (int i = 0; i < 100; ++i) loop_.post_soon([&order, i] { order.push_back(i); });
  loop_.post_soon([&] { done.set_value(); });
  done.get_future().wait();
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
  // Again, after the first batch: the timer is set anew.
  std::promise<void> again;
  loop_.post_soon([&] { again.set_value(); });
  EXPECT_EQ(again.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST_F(Loop, WhatOneTaskThrowsHurtsNoOther) {
  loop_.post([] { throw std::runtime_error("one"); });
  loop_.post_soon([] { throw std::runtime_error("two"); });
  std::promise<void> soon;
  loop_.post_soon([&] { soon.set_value(); });
  soon.get_future().wait();
  bool ran = false;
  run([&] { ran = true; });
  EXPECT_TRUE(ran);
}

TEST_F(Loop, EveryMemberIsTickedWhateverTheOthersDo) {
  std::vector<std::shared_ptr<Member>> members;
  for (int i = 0; i < 40; ++i)
    members.push_back(add([i](Member& member) {
      member.throws = i % 3 == 0;
      member.leaves = i % 5 == 1;
    }));
  for (const auto& member : members) EXPECT_TRUE(eventually([&] { return member->ticks > 0; }));
  const auto stays = members[2], left = members[1];
  const int before = stays->ticks;
  EXPECT_TRUE(eventually([&] { return stays->ticks > before + 1; }));
  EXPECT_LE(left->ticks, 1);
  loop_.drain();
  EXPECT_TRUE(eventually([&] { return stays->drains == 1; }));
  EXPECT_EQ(left->drains, 0);
}

TEST_F(Loop, TheOnesThatWaitLongestAreAborted) {
  const auto now = Clock::now();
  std::vector<std::shared_ptr<Member>> waiting;
  for (int i = 0; i < 6; ++i)
    waiting.push_back(add([&](Member& member) { member.since = now - std::chrono::seconds(10 * (1 + i * 7 % 6)); }));
  const auto busy = add();
  size_t aborted = 0;
  run([&] { aborted = loop_.abort_waiting(2, now - std::chrono::seconds(5)); });
  EXPECT_EQ(aborted, 2u);
  for (const auto& member : waiting) EXPECT_EQ(member->aborts == 1, *member->since <= now - std::chrono::seconds(50));
  run([&] { aborted = loop_.abort_waiting(100, now - std::chrono::seconds(25)); });
  EXPECT_EQ(aborted, 2u);  // two of the four that are left are too young
  EXPECT_EQ(busy->aborts, 0);
}

TEST_F(Loop, NothingIsTakenAfterTheEnd) {
  const auto member = add();
  loop_.stop();
  EXPECT_EQ(member->aborts, 1);
  EXPECT_FALSE(loop_.post([] {}));
  EXPECT_FALSE(loop_.post_soon([] {}));
}

TEST(ConnectionCount, BoundsClientsAndAnIPv6ClientIsItsNetwork) {
  using Place = ConnectionCount::Place;
  HttpLimits limits;
  limits.max_connections = 6;
  limits.max_connections_per_client = 2;
  ConnectionCount count;
  EXPECT_EQ(count.acquire("2001:db8:1:2::1", limits), Place::kFree);
  EXPECT_EQ(count.acquire("2001:db8:1:2:ffff::7", limits), Place::kFree);
  EXPECT_EQ(count.acquire("2001:db8:1:2::9", limits), Place::kClientFull);
  EXPECT_EQ(count.acquire("2001:db8:1:3::1", limits), Place::kFree);
  for (const char* proxy : {"127.0.0.1", "::1", "::ffff:127.0.0.1"})
    EXPECT_EQ(count.acquire(proxy, limits), Place::kFree);
  EXPECT_EQ(count.acquire("192.0.2.1", limits), Place::kFull);
  count.release("2001:db8:1:2::1");
  EXPECT_EQ(count.open(), 5);
  EXPECT_EQ(count.acquire("2001:db8:1:2::8", limits), Place::kFree);
}

}  // namespace
}  // namespace qwen::test
