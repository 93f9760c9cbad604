#include "commands/service_signals.h"

#include <gtest/gtest.h>

#include <thread>

namespace qwen {
namespace {

// On a thread of its own: the signals stay blocked where a ServiceSignals was made.
template <typename Body>
void on_a_thread(Body body) {
  std::thread(body).join();
}

TEST(ServiceSignals, SignalsOfLogRotationEndNothing) {  // but are told while the service runs
  on_a_thread([] {
    ServiceSignals signals;
    for (const int number : {SIGUSR1, SIGHUP}) ::pthread_kill(::pthread_self(), number);
    EXPECT_EQ(signals.poll(), 0);
    ::pthread_kill(::pthread_self(), SIGUSR1);
    EXPECT_EQ(signals.wait(), SIGUSR1);
    for (const int number : {SIGUSR1, SIGTERM}) ::pthread_kill(::pthread_self(), number);
    EXPECT_EQ(signals.poll(), SIGTERM);
    ::pthread_kill(::pthread_self(), SIGINT);
    EXPECT_EQ(signals.poll(), SIGINT);
    EXPECT_EQ(signals.poll(), 0);
  });
}

TEST(ServiceSignals, HangupIsToldWhileTheServiceRuns) {
  on_a_thread([] {
    ServiceSignals signals;
    ::pthread_kill(::pthread_self(), SIGHUP);
    EXPECT_EQ(signals.wait(), SIGHUP);
    EXPECT_EQ(signals.wait(std::chrono::milliseconds(1)), ServiceSignals::kNothing);
  });
}

TEST(ServiceSignals, WakeEndsTheWait) {
  on_a_thread([] {
    ServiceSignals signals;
    std::thread other([&] { signals.wake(); });
    EXPECT_EQ(signals.wait(), ServiceSignals::kWoken);
    other.join();
    signals.wake();
    EXPECT_EQ(signals.poll(), 0) << "a wake is no signal";
    EXPECT_EQ(signals.wait(), ServiceSignals::kWoken) << "a wake waits for the one who waits";
  });
}

}  // namespace
}  // namespace qwen
