// The response cache below a service whose model says what it is told to: equal answers, one computation for equal
// requests, nobody harmed by somebody else's end.
#include "server/cache/response_cache.h"

#include <atomic>
#include <random>
#include <thread>

#include "base/error.h"
#include "metrics/metrics.h"
#include "service_fixture.h"

namespace qwen::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

class Cached : public testing::Test {
 protected:
  Cached() { scripted_.service.enable_cache({.memory = {.bytes = 1 << 20, .entries = 1000, .ttl = seconds(60)}}); }

  static TextRequest ask(const std::string& prompt, bool thinking = false) {
    TextRequest request;
    request.messages = {{.role = "user", .content = prompt}};
    request.template_options.thinking = thinking;
    request.sampling.temperature = 0;
    request.cache.enabled = true;
    return request;
  }
  static Completion finish(TextStream& stream) {
    std::string text, reasoning;
    for (const auto end = Clock::now() + seconds(20); !stream.finished() && Clock::now() < end;)
      if (const auto delta = stream.next(milliseconds(100))) {
        text += delta->content;
        reasoning += delta->reasoning;
      }
    EXPECT_TRUE(stream.finished());
    EXPECT_EQ(text, stream.completion().text);
    EXPECT_EQ(reasoning, stream.completion().reasoning);
    return stream.completion();
  }
  Completion complete(TextRequest request) { return finish(*scripted_.service.start(std::move(request))); }
  uint64_t generated() const { return scripted_.service.stats().generated_tokens; }
  double counted(const char* result) const {
    return scripted_.service.metrics().response_cache_requests.with({result}).value();
  }
  size_t entries() const { return scripted_.service.cache()->stats().memory.entries; }
  bool becomes_idle() {
    for (int i = 0; i < 5000 && !scripted_.idle(); ++i) std::this_thread::sleep_for(milliseconds(1));
    return scripted_.idle();
  }
  static void expect_equal(const Completion& a, const Completion& b) {
    EXPECT_EQ(a.text, b.text);
    EXPECT_EQ(a.reasoning, b.reasoning);
    EXPECT_EQ(a.answered, b.answered);
    EXPECT_EQ(a.finish_reason, b.finish_reason);
    EXPECT_EQ(a.stop_string, b.stop_string);
    EXPECT_EQ(a.usage.prompt_tokens, b.usage.prompt_tokens);
    EXPECT_EQ(a.usage.completion_tokens, b.usage.completion_tokens);
    EXPECT_EQ(a.usage.reasoning_tokens, b.usage.reasoning_tokens);
    EXPECT_EQ(a.thinking_end, b.thinking_end);
    EXPECT_EQ(a.answer_tokens, b.answer_tokens);
    EXPECT_EQ(a.answer_logprob, b.answer_logprob);
  }
  // Asked twice, the answer is the same, and computed the first time only.
  void expect_hit(const TextRequest& request) {
    const Completion first = complete(request);
    EXPECT_FALSE(first.cached);
    const uint64_t before = generated();
    const Completion second = complete(request);
    EXPECT_TRUE(second.cached);
    EXPECT_EQ(generated(), before);
    EXPECT_EQ(second.usage.cached_tokens, second.usage.prompt_tokens);
    expect_equal(first, second);
  }
  void expect_no_hit(const TextRequest& request) {
    complete(request);
    const uint64_t before = generated();
    EXPECT_FALSE(complete(request).cached);
    EXPECT_GT(generated(), before);
  }

  ScriptedService scripted_;
};

TEST_F(Cached, AHitIsEqualToWhatWasComputed) {
  expect_hit(ask("hi"));
  expect_hit(ask("hi", true));
  TextRequest cut = ask("hi", true);
  cut.max_tokens = 3;
  expect_hit(cut);
  TextRequest stopped = ask("hi");
  stopped.stop = {"is"};
  expect_hit(stopped);
  EXPECT_EQ(complete(stopped).text, "The answer ");
  TextRequest limited = ask("hi", true);
  limited.thinking = ThinkingRequest{.budget = 2, .answer = ThinkingRequest::AnswerLimit{.tokens = 4}};
  expect_hit(limited);
  EXPECT_EQ(complete(limited).thinking_end, ThinkingEnd::kBudget);
  TextRequest seeded = ask("hi");
  seeded.sampling.temperature = 0.5f;
  seeded.sampling.seed = 7;
  seeded.cache.seed_given = true;
  expect_hit(seeded);
}

TEST_F(Cached, ALongAnswerComesInTurns) {
  scripted_.echo(1000);
  complete(ask("some words"));
  std::atomic<int> wakes{0};
  const auto stream = scripted_.service.start(ask("some words"), [&] { ++wakes; });
  size_t pieces = 0;
  while (!stream->finished())
    if (stream->poll()) ++pieces;
  EXPECT_GT(pieces, 10u);
  EXPECT_GE(wakes, 10);
  EXPECT_EQ(stream->completion().text, scripted_.echoed("some words", 1000));
}

TEST_F(Cached, WhatShapesAnAnswerKeepsItApart) {
  const TextRequest plain = ask("hi");
  complete(plain);
  std::vector<TextRequest> others(7, plain);
  others[0].messages[0].content = "Hi";
  others[1].stop = {"x"};
  others[2].max_tokens = 100;
  others[3].sampling.repetition_penalty = 1.1f;
  others[4].sampling.logit_bias = {{5, 1.0f}};
  others[5].cache.salt = "another key's";
  others[6].separate_thought = false;
  for (const TextRequest& other : others) EXPECT_FALSE(complete(other).cached);
  TextRequest same = plain;  // greedy: nothing of these is looked at
  same.sampling.seed = 99;
  same.sampling.top_p = 0.5f;
  EXPECT_TRUE(complete(same).cached);
}

TEST_F(Cached, OnlyWhatRepeatsIsCached) {
  TextRequest random = ask("hi");
  random.sampling.temperature = 1;
  expect_no_hit(random);
  EXPECT_EQ(counted("bypass"), 2);
  TextRequest timed = ask("hi", true);
  timed.thinking = ThinkingRequest{.time = milliseconds(10'000)};
  expect_no_hit(timed);
  TextRequest foreign = ask("hi");
  foreign.cache.enabled = false;
  expect_no_hit(foreign);
  EXPECT_EQ(counted("bypass"), 4);
  random.cache.random_too = true;
  expect_hit(random);
  EXPECT_EQ(entries(), 1u);
}

TEST_F(Cached, ClientsMayOptOut) {
  TextRequest request = ask("hi");
  request.cache.look_up = request.cache.store = false;
  expect_no_hit(request);
  EXPECT_EQ(entries(), 0u);
  request.cache.store = true;  // no-cache: computed anew, for others to use
  expect_no_hit(request);
  EXPECT_EQ(entries(), 1u);
  EXPECT_TRUE(complete(ask("hi")).cached);
}

TEST_F(Cached, SeveralSamplesOfOnePrompt) {
  const TextStreams greedy = scripted_.service.start_samples(ask("hi"), 3);
  for (const auto& stream : greedy) finish(*stream);
  EXPECT_EQ(counted("miss"), 1);
  EXPECT_EQ(counted("joined"), 2);
  TextRequest random = ask("hi");
  random.sampling.temperature = 1;
  random.cache.random_too = true;
  const TextStreams drawn = scripted_.service.start_samples(random, 3);
  for (const auto& stream : drawn) finish(*stream);
  EXPECT_EQ(counted("miss"), 4) << "each has a draw of its own";
}

TEST_F(Cached, AHundredAtOnceComputeOnce) {
  scripted_.echo(40);
  scripted_.control().set_delay(milliseconds(2));
  constexpr int kThreads = 8, kEach = 13;
  std::vector<std::thread> threads;
  std::atomic<int> right{0}, computed{0};
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&] {
      std::vector<std::unique_ptr<TextStream>> streams;
      for (int j = 0; j < kEach; ++j) streams.push_back(scripted_.service.start(ask("words to say")));
      for (const auto& stream : streams) {
        const Completion completion = finish(*stream);
        right += completion.text == scripted_.echoed("words to say", 40);
        computed += !completion.cached;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, kThreads * kEach);
  EXPECT_EQ(computed, 1);
  EXPECT_EQ(generated(), 41u);
  EXPECT_TRUE(becomes_idle());
}

TEST_F(Cached, FollowersReadTheLeadersStreamAsItComes) {
  scripted_.echo(1000);
  scripted_.control().set_delay(milliseconds(2));
  const auto leader = scripted_.service.start(ask("hi"));
  ASSERT_TRUE(leader->next(seconds(20)));
  const auto follower = scripted_.service.start(ask("hi"));
  ASSERT_TRUE(follower->next(seconds(20)));
  EXPECT_FALSE(leader->finished());
  EXPECT_EQ(follower->cache_result(), CacheResult::kJoined);
}

// A key pays for what is computed for it: not for what is stored or read along, and for a prompt with its first token.
TEST_F(Cached, OnlyWhatIsComputedForARequestCounts) {
  scripted_.echo(20);
  scripted_.control().pause();
  const auto leader = scripted_.service.start(ask("hi")), follower = scripted_.service.start(ask("hi"));
  EXPECT_EQ(leader->computed_tokens(), 0);
  scripted_.control().resume();
  const Usage usage = finish(*leader).usage;
  finish(*follower);
  EXPECT_EQ(leader->computed_tokens(), usage.prompt_tokens + usage.completion_tokens);
  EXPECT_EQ(follower->computed_tokens(), 0);
  const auto hit = scripted_.service.start(ask("hi"));
  EXPECT_TRUE(finish(*hit).cached);
  EXPECT_EQ(hit->computed_tokens(), 0);
}

TEST_F(Cached, WhoComputesAfterAllCounts) {
  scripted_.echo(150);
  scripted_.control().set_delay(milliseconds(2));
  TextRequest hurried = ask("hi");
  hurried.deadline = Clock::now() + milliseconds(100);
  const auto leader = scripted_.service.start(hurried), follower = scripted_.service.start(ask("hi"));
  EXPECT_EQ(finish(*leader).finish_reason, FinishReason::kDeadline);
  const Usage usage = finish(*follower).usage;
  EXPECT_GT(follower->computed_tokens(), usage.prompt_tokens);
  EXPECT_LE(follower->computed_tokens(), usage.prompt_tokens + usage.completion_tokens);
}

TEST_F(Cached, TheLeadersClientMayLeave) {
  scripted_.echo(100);
  scripted_.control().set_delay(milliseconds(2));
  auto leader = scripted_.service.start(ask("hi"));
  ASSERT_TRUE(leader->next(seconds(20)));
  const auto follower = scripted_.service.start(ask("hi"));
  leader.reset();
  EXPECT_EQ(finish(*follower).text, scripted_.echoed("hi", 100));
  EXPECT_EQ(generated(), 101u);
  EXPECT_TRUE(complete(ask("hi")).cached);
}

// A long thought, asked for as often as wanted.
class FinishedThoughts : public Cached {
 protected:
  FinishedThoughts() {
    for (int i = 0; i < 300; ++i) thought_ += " think";
    thought_ += "\n";
    scripted_.say("", thought_ + "</think>\n\nThe answer.<|im_end|>");
    scripted_.control().set_delay(milliseconds(1));
  }
  static TextRequest question() {
    TextRequest request = ask("hi", true);
    request.thinking = ThinkingRequest{.budget = 2000};
    return request;
  }
  std::unique_ptr<TextStream> thinking(TextRequest request) {
    auto stream = scripted_.service.start(std::move(request));
    while (stream->reasoning_tokens() < 5) stream->next(milliseconds(20));
    return stream;
  }
  static Completion end_of(TextStream& stream) {
    while (!stream.finished()) stream.next(milliseconds(100));
    return stream.completion();
  }
  int whole() { return static_cast<int>(scripted_.tokenizer().encode(thought_).size()); }
  std::string thought_;
};

TEST_F(FinishedThoughts, AreNobodyElsesAnswer) {
  const auto stream = thinking(question());
  EXPECT_EQ(stream->finish_thought(), ThoughtFinish::kFinishing);
  const auto later = scripted_.service.start(question());
  EXPECT_EQ(later->cache_result(), CacheResult::kMiss) << "computes for itself";
  const Completion finished = end_of(*stream), natural = end_of(*later);
  EXPECT_EQ(finished.thinking_end, ThinkingEnd::kClient);
  EXPECT_EQ(natural.thinking_end, ThinkingEnd::kNatural);
  EXPECT_EQ(natural.usage.reasoning_tokens, whole());
  EXPECT_EQ(entries(), 1);
  EXPECT_EQ(complete(question()).usage.reasoning_tokens, whole());
}

TEST_F(FinishedThoughts, ThatOthersReadGoOnUntilAllHaveAsked) {
  auto leader = thinking(question());
  auto follower = scripted_.service.start(question());
  EXPECT_EQ(follower->cache_result(), CacheResult::kJoined);
  EXPECT_EQ(leader->finish_thought(), ThoughtFinish::kShared);
  while (follower->reasoning_tokens() < 50) follower->next(milliseconds(20));
  EXPECT_EQ(follower->finish_thought(), ThoughtFinish::kFinishing);
  expect_equal(end_of(*leader), end_of(*follower));
  EXPECT_EQ(leader->completion().thinking_end, ThinkingEnd::kClient);
  EXPECT_EQ(entries(), 0);
}

TEST_F(FinishedThoughts, ACancelledReaderLeavesTheOthersAlone) {
  auto leader = thinking(question());
  auto follower = scripted_.service.start(question());
  EXPECT_EQ(leader->finish_thought(), ThoughtFinish::kShared);
  leader->cancel();
  leader->poll();
  EXPECT_TRUE(leader->completion().cancelled);
  EXPECT_EQ(leader->completion().finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(leader->completion().thinking_end, ThinkingEnd::kClient);
  EXPECT_EQ(end_of(*follower).usage.reasoning_tokens, whole());
  EXPECT_EQ(entries(), 1) << "the follower's, which is whole";
}

TEST_F(FinishedThoughts, OfOneThatOnlyFollowed) {
  auto leader = thinking(question());
  auto follower = scripted_.service.start(question());
  leader.reset();
  while (follower->reasoning_tokens() < 5) follower->next(milliseconds(20));
  EXPECT_EQ(follower->finish_thought(), ThoughtFinish::kFinishing);
  EXPECT_EQ(end_of(*follower).thinking_end, ThinkingEnd::kClient);
  EXPECT_EQ(entries(), 0);
}

TEST_F(FinishedThoughts, OfAStoredAnswerThereAreNone) {
  complete(question());
  const auto hit = scripted_.service.start(question());
  EXPECT_EQ(hit->cache_result(), CacheResult::kHit);
  EXPECT_EQ(hit->finish_thought(), ThoughtFinish::kNoThought);
  EXPECT_EQ(end_of(*hit).usage.reasoning_tokens, whole());
}

TEST_F(Cached, CancelledAnswersAreNotKept) {
  scripted_.echo(500);
  scripted_.control().set_delay(milliseconds(1));
  const auto stream = scripted_.service.start(ask("hi"));
  stream->next(std::chrono::seconds(5));
  stream->cancel();
  stream->poll();
  EXPECT_EQ(stream->completion().finish_reason, FinishReason::kCancelled);
  EXPECT_NE(stream->completion().text, "");
  EXPECT_TRUE(becomes_idle());
  EXPECT_EQ(entries(), 0);
}

TEST_F(Cached, WhereNobodyReadsNothingIsComputedOrKept) {
  scripted_.echo(3000);
  scripted_.control().set_delay(milliseconds(2));
  auto leader = scripted_.service.start(ask("hi")), follower = scripted_.service.start(ask("hi"));
  ASSERT_TRUE(leader->next(seconds(20)));
  leader.reset();
  follower.reset();
  EXPECT_TRUE(becomes_idle());
  EXPECT_EQ(entries(), 0u);
  EXPECT_EQ(scripted_.service.start(ask("hi"))->cache_result(), CacheResult::kMiss);
}

TEST_F(Cached, ALeadersDeadlineEndsItForNobodyElse) {
  scripted_.echo(150);
  scripted_.control().set_delay(milliseconds(2));
  TextRequest hurried = ask("hi");
  hurried.deadline = Clock::now() + milliseconds(100);
  const auto leader = scripted_.service.start(hurried);
  const auto follower = scripted_.service.start(ask("hi")), another = scripted_.service.start(ask("hi"));
  ASSERT_TRUE(follower->next(seconds(20)));
  EXPECT_EQ(finish(*leader).finish_reason, FinishReason::kDeadline);
  const std::string text = scripted_.echoed("hi", 150);
  std::thread beside([&] { EXPECT_EQ(finish(*another).finish_reason, FinishReason::kStop); });
  while (!follower->finished()) follower->next(milliseconds(100));
  beside.join();
  EXPECT_EQ(follower->completion().text, text);
  EXPECT_EQ(another->completion().text, text);
  EXPECT_EQ(counted("miss") + counted("joined"), 3);
}

TEST_F(Cached, AFollowersOwnDeadlineHolds) {
  scripted_.echo(3000);
  scripted_.control().set_delay(milliseconds(5));
  TextRequest patient = ask("hi");
  patient.deadline = Clock::now() + seconds(20);
  const auto leader = scripted_.service.start(patient);
  TextRequest hurried = ask("hi");
  hurried.deadline = Clock::now() + milliseconds(100);
  const auto begin = Clock::now();
  EXPECT_EQ(complete(hurried).finish_reason, FinishReason::kDeadline);
  EXPECT_LT(Clock::now() - begin, seconds(10));
  EXPECT_FALSE(leader->finished());
}

TEST_F(Cached, AnErrorIsTriedAnewOnce) {
  scripted_.echo(20);
  scripted_.control().fail_steps(3, 1);
  scripted_.control().pause();
  std::vector<std::unique_ptr<TextStream>> streams;
  for (int i = 0; i < 10; ++i) streams.push_back(scripted_.service.start(ask("hi")));
  scripted_.control().resume();
  EXPECT_EQ(finish(*streams[0]).finish_reason, FinishReason::kError);
  std::vector<std::thread> threads;
  for (int i = 1; i < 10; ++i)
    threads.emplace_back([&stream = *streams[static_cast<size_t>(i)]] {
      while (!stream.finished()) stream.next(milliseconds(100));
    });
  for (std::thread& thread : threads) thread.join();
  for (int i = 1; i < 10; ++i) {
    EXPECT_EQ(streams[static_cast<size_t>(i)]->completion().finish_reason, FinishReason::kStop);
    EXPECT_EQ(streams[static_cast<size_t>(i)]->completion().text, scripted_.echoed("hi", 20));
  }
}

TEST_F(Cached, APromptThatAlwaysFailsFailsTwiceAndNotForEachRequest) {
  scripted_.control().fail_steps(1, 2);
  scripted_.control().pause();
  std::vector<std::unique_ptr<TextStream>> streams;
  for (int i = 0; i < 10; ++i) streams.push_back(scripted_.service.start(ask("hi")));
  scripted_.control().resume();
  for (const auto& stream : streams) {
    while (!stream->finished()) stream->next(milliseconds(50));
    EXPECT_EQ(stream->completion().finish_reason, FinishReason::kError);
  }
  EXPECT_EQ(scripted_.service.stats().failed_steps, 2u);
  EXPECT_EQ(entries(), 0u);
}

TEST_F(Cached, CutAnswersAreNotKept) {
  scripted_.echo(1000);
  scripted_.control().set_delay(milliseconds(5));
  TextRequest request = ask("hi");
  request.deadline = Clock::now() + milliseconds(100);
  EXPECT_EQ(complete(request).finish_reason, FinishReason::kDeadline);
  EXPECT_EQ(entries(), 0u);
  EXPECT_TRUE(becomes_idle());
}

TEST_F(Cached, ARefusedLeaderRefusesNobodyForEver) {
  EngineOptions small;
  small.max_num_seqs = 1;
  small.max_waiting = 0;
  ScriptedService busy(small);
  busy.service.enable_cache({.memory = {.bytes = 1 << 20, .entries = 1000, .ttl = seconds(60)}});
  busy.echo(3000);
  busy.control().set_delay(milliseconds(5));
  auto running = busy.service.start(ask("first"));
  EXPECT_THROW(busy.service.start(ask("second")), Error);
  EXPECT_NO_THROW(busy.service.start(ask("first"))) << "joining takes no place";
  running.reset();
  for (int i = 0; i < 5000 && !busy.idle(); ++i) std::this_thread::sleep_for(milliseconds(1));
  busy.echo(5);
  EXPECT_EQ(finish(*busy.service.start(ask("second"))).text, busy.echoed("second", 5));
}

TEST_F(Cached, AShutdownEndsAll) {
  scripted_.echo(3000);
  scripted_.control().set_delay(milliseconds(5));
  const auto leader = scripted_.service.start(ask("hi")), follower = scripted_.service.start(ask("hi"));
  ASSERT_TRUE(follower->next(seconds(20)));
  scripted_.service.shutdown();
  EXPECT_EQ(finish(*leader).finish_reason, FinishReason::kCancelled);
  while (!follower->finished()) follower->next(milliseconds(100));
  EXPECT_EQ(follower->completion().finish_reason, FinishReason::kCancelled);
}

// Readers that come and go at random while answers are computed, stored and pushed out.
TEST_F(Cached, AStorm) {
  scripted_.echo(20);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (unsigned seed = 0; seed < 6; ++seed)
    threads.emplace_back([&, seed] {
      std::minstd_rand random(seed + 1);
      for (int i = 0; i < 150; ++i) {
        const std::string prompt = "p" + std::to_string(random() % 5);
        TextRequest request = ask(prompt);
        request.cache.look_up = random() % 8 != 0;
        const auto stream = scripted_.service.start(std::move(request));
        if (random() % 3 == 0) {
          stream->next(milliseconds(random() % 3));
          continue;
        }
        while (!stream->finished()) stream->next(milliseconds(100));
        wrong += stream->completion().text != scripted_.echoed(prompt, 20);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(becomes_idle());
}

}  // namespace
}  // namespace qwen::test
