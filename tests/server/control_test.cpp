// Who is meant by a control request, what is heard of those that are, and the form in which it goes to other processes.
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "server/control/control_message.h"
#include "server/control/running_requests.h"
#include "server/http/request_id.h"

namespace qwen::test {
namespace {

struct Recorder final : RunningRequest {
  void control(ControlAction action, std::shared_ptr<ControlTally> tally) override {
    actions.push_back(action);
    tally->add({.requests = 1, .affected = 1, .completion_tokens = 7});
    if (keeps) kept = std::move(tally);
  }
  std::vector<ControlAction> actions;
  bool keeps = false;
  std::shared_ptr<ControlTally> kept;
};

class RunningRequestsTest : public testing::Test {
 protected:
  // What is told at once; -1: nothing yet.
  int requests_of(const std::string& id, const std::string& key, bool admin = false) {
    told_ = {};
    found_ = running_->control({.action = ControlAction::kCancel, .id = id, .key_name = key, .admin = admin},
                               std::make_shared<ControlTally>([this](const ControlOutcome& sum) { told_ = sum; }));
    return told_ ? told_->requests : -1;
  }

  const std::shared_ptr<RunningRequests> running_ = std::make_shared<RunningRequests>();
  std::optional<ControlOutcome> told_;
  bool found_ = false;
};

TEST_F(RunningRequestsTest, OnlyTheKeyThatBeganItOrAnAdministratorIsHeard) {
  const auto request = std::make_shared<Recorder>();
  const auto place = running_->enter("order-1", "shop", request);
  EXPECT_EQ(requests_of("order-1", "shop"), 1);
  EXPECT_TRUE(found_);
  EXPECT_EQ(requests_of("order-1", "other"), 0);
  EXPECT_FALSE(found_);
  EXPECT_EQ(requests_of("order-1", ""), 0) << "nobody";
  EXPECT_EQ(requests_of("order-1", "sho"), 0);
  EXPECT_EQ(requests_of("order-1", "other", true), 1);
  EXPECT_EQ(requests_of("order-2", "shop", true), 0);
  EXPECT_EQ(requests_of("order-", "shop"), 0);
  EXPECT_EQ(request->actions.size(), 2);
}

TEST_F(RunningRequestsTest, OneIdOfTwoRequestsMeansBothOfTheSameKey) {
  const auto first = std::make_shared<Recorder>(), second = std::make_shared<Recorder>(),
             others = std::make_shared<Recorder>();
  auto place = running_->enter("twice", "a", first);
  const auto second_place = running_->enter("twice", "a", second), others_place = running_->enter("twice", "b", others);
  EXPECT_EQ(requests_of("twice", "a"), 2);
  EXPECT_EQ(told_->completion_tokens, 14);
  EXPECT_EQ(others->actions.size(), 0);
  place.reset();
  EXPECT_EQ(requests_of("twice", "a"), 1);
  EXPECT_EQ(first->actions.size(), 1);
  EXPECT_EQ(second->actions.size(), 2);
  EXPECT_EQ(requests_of("twice", "", true), 2);
}

TEST_F(RunningRequestsTest, WhatHasEndedIsNotHere) {
  auto request = std::make_shared<Recorder>();
  auto place = running_->enter("a", "", request);
  request.reset();
  EXPECT_EQ(requests_of("a", ""), 0) << "gone, its place not yet";
  place.reset();
  EXPECT_EQ(running_->size(), 0);
  {
    const auto outlives = running_->enter("b", "", std::make_shared<Recorder>());
    EXPECT_EQ(running_->size(), 1);
  }
  EXPECT_EQ(running_->size(), 0);
}

TEST_F(RunningRequestsTest, TheSumIsToldWhenNobodyHasMoreToSay) {
  const auto slow = std::make_shared<Recorder>(), fast = std::make_shared<Recorder>();
  slow->keeps = true;
  const auto a = running_->enter("x", "", slow), b = running_->enter("x", "", fast);
  EXPECT_EQ(requests_of("x", ""), -1);
  std::thread([&] {
    slow->kept->add({.shared = 3});
    slow->kept.reset();
  }).join();
  ASSERT_TRUE(told_);
  EXPECT_EQ(told_->requests, 2);
  EXPECT_EQ(told_->shared, 3);
}

ControlMessage message() {
  return {.kind = ControlMessage::Kind::kAnswer,
          .from = 3,
          .ticket = 0x1234567890abcdef,
          .request = {.action = ControlAction::kFinishThought,
                      .id = std::string(64, 'i'),
                      .key_name = std::string(64, 'k'),
                      .admin = true},
          .outcome = {.requests = 1, .thinking = 2, .affected = 3, .completion_tokens = int64_t{1} << 40}};
}

TEST(ControlMessages, ArriveAsTheyWereSent) {
  const auto read = decode(encode(message()));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->kind, ControlMessage::Kind::kAnswer);
  EXPECT_EQ(read->from, 3);
  EXPECT_EQ(read->ticket, 0x1234567890abcdef);
  EXPECT_EQ(read->request.action, ControlAction::kFinishThought);
  EXPECT_EQ(read->request.id, std::string(64, 'i'));
  EXPECT_EQ(read->request.key_name, std::string(64, 'k'));
  EXPECT_TRUE(read->request.admin);
  EXPECT_EQ(read->outcome.thinking, 2);
  EXPECT_EQ(read->outcome.completion_tokens, int64_t{1} << 40);
  ControlMessage small;
  small.request.id = "a";
  EXPECT_EQ(decode(encode(small))->request.id, "a");
  EXPECT_FALSE(decode(encode(small))->request.admin);
}

TEST(ControlMessages, WhateverElseIsNone) {
  const std::string good = encode(message());
  for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(decode(good.substr(0, size)));
  EXPECT_FALSE(decode(good + "x"));
  size_t accepted = 0;
  for (size_t at = 0; at < good.size(); ++at) {  // never more than the fields hold
    std::string bad = good;
    bad[at] = static_cast<char>(0xff);
    const auto read = decode(bad);
    if (!read) continue;
    ++accepted;
    EXPECT_LE(read->request.id.size(), kMaxControlText);
    EXPECT_LE(read->request.key_name.size(), kMaxControlText);
    EXPECT_GE(read->from, 0);
  }
  EXPECT_LT(accepted, good.size() - 8) << "magic, sizes, kind and action are looked at";
}

TEST(RequestIds, NameTheirWorker) {
  EXPECT_EQ(worker_of_request_id("req-w0-1f"), 0);
  EXPECT_EQ(worker_of_request_id("req-w12-" + random_hex(24)), 12);
  for (const char* none :
       {"", "req-", "req-w", "req-w-", "req-w1", "req-wx-1", "req-w-1-2", "req-w99999999999-1", "order-17", "Req-w1-2"})
    EXPECT_FALSE(worker_of_request_id(none)) << none;
}

TEST(RequestIds, OfCallersAreCheckedAndOursAreAllDifferent) {
  EXPECT_TRUE(valid_request_id("order_17.a-B"));
  for (const std::string& bad : {std::string(), std::string(65, 'a'), std::string("a b"), std::string("a/b"),
                                 std::string("a\nb"), std::string("\xe4\xb8\xad"), std::string("a\0b", 3)})
    EXPECT_FALSE(valid_request_id(bad));
  std::set<std::string> ids;
  for (int i = 0; i < 10'000; ++i) ids.insert(random_hex(24));
  EXPECT_EQ(ids.size(), 10'000);
  EXPECT_EQ(random_hex(24).size(), 24);
}

}  // namespace
}  // namespace qwen::test
