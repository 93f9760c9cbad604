// What arrives at the service manager's socket.
#include "commands/service_manager.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <map>

namespace qwen {
namespace {

using Condition = ServiceManager::Condition;
using Phase = Condition::Phase;
using std::chrono::milliseconds;
using std::chrono::seconds;

class ServiceManagerTest : public testing::Test {
 protected:
  ServiceManagerTest() : path_(std::filesystem::temp_directory_path() / ("notify-" + std::to_string(::getpid()))) {
    std::filesystem::remove(path_);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.string().copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    variables_ = {{"NOTIFY_SOCKET", path_.string()}, {"WATCHDOG_USEC", "10000000"}};
  }
  ~ServiceManagerTest() override {
    ::close(socket_);
    std::filesystem::remove(path_);
  }
  auto lookup() {
    return [this](const char* name) -> const char* {
      const auto found = variables_.find(name);
      return found == variables_.end() ? nullptr : found->second.c_str();
    };
  }
  std::string received() {
    std::string all;
    char buffer[1024];
    for (ssize_t n = 0; (n = ::recv(socket_, buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
      all.append(buffer, static_cast<size_t>(n)) += "--\n";
    return all;
  }

  const std::filesystem::path path_;
  const int socket_ = ::socket(AF_UNIX, SOCK_DGRAM, 0);
  std::map<std::string, std::string> variables_;
  const ServiceManager::Clock::time_point start_ = ServiceManager::Clock::now();
};

TEST_F(ServiceManagerTest, LoadingReadyReloadingStopping) {
  ServiceManager manager(lookup());
  EXPECT_EQ(manager.interval(), milliseconds(1000));
  manager.tell({.phase = Phase::kLoading, .progress = 0.42}, start_);
  EXPECT_EQ(received(), "STATUS=loading 42 %\nEXTEND_TIMEOUT_USEC=120000000\nWATCHDOG=1\n--\n");
  manager.tell({.phase = Phase::kLoading, .progress = 0.421}, start_ + seconds(1));
  manager.reloading();  // before it is ready nobody wants to know
  EXPECT_EQ(received(), "");
  manager.tell({.phase = Phase::kReady}, start_ + milliseconds(1500));
  EXPECT_EQ(received(), "READY=1\nSTATUS=ready\n--\n");
  manager.reloading();
  const std::string reloading = received();
  EXPECT_EQ(reloading.rfind("RELOADING=1\nMONOTONIC_USEC=", 0), 0) << reloading;
  manager.reloaded();
  EXPECT_EQ(received(), "READY=1\n--\n");
  manager.tell({.phase = Phase::kStopping}, start_ + milliseconds(1600));
  manager.tell({.phase = Phase::kStopping}, start_ + milliseconds(1700));
  EXPECT_EQ(received(), "STOPPING=1\nSTATUS=draining\n--\n");
}

TEST_F(ServiceManagerTest, TheWatchdogIsFedWhileThereIsProgress) {
  ServiceManager manager(lookup());
  manager.tell({.phase = Phase::kReady, .description = "2 of 2"}, start_);
  received();
  int fed = 0;
  for (int second = 1; second <= 20; ++second) {
    manager.tell({.phase = Phase::kReady, .description = "2 of 2"}, start_ + seconds(second));
    fed += received() == "WATCHDOG=1\n--\n" ? 1 : 0;
  }
  EXPECT_EQ(fed, 10) << "every fifth of WATCHDOG_USEC";
  manager.tell({.phase = Phase::kReady, .alive = false}, start_ + seconds(30));
  EXPECT_EQ(received(), "STATUS=the engine hangs\n--\n");
}

TEST_F(ServiceManagerTest, ALoadThatStandsStillIsNotWaitedForForEver) {
  ServiceManager manager(lookup());
  int extended = 0;
  for (int second = 0; second < 1000; second += 5) {
    manager.tell({.phase = Phase::kLoading, .progress = second < 100 ? second * 0.001 : 0.1}, start_ + seconds(second));
    extended += received().find("EXTEND_TIMEOUT_USEC") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(extended, 40);
}

TEST_F(ServiceManagerTest, WithoutAListenerNothingIsSaid) {
  variables_["WATCHDOG_PID"] = "1";
  EXPECT_EQ(ServiceManager(lookup()).interval(), milliseconds(1000)) << "another process's watchdog";
  variables_["NOTIFY_SOCKET"] = "relative";
  ServiceManager none(lookup());
  none.tell({.phase = Phase::kReady});
  none.reloading();
  none.reloaded();
  EXPECT_EQ(none.interval(), std::nullopt);
  EXPECT_EQ(received(), "");
  variables_["NOTIFY_SOCKET"] = "/" + std::string(200, 'a');
  EXPECT_EQ(ServiceManager(lookup()).interval(), std::nullopt) << "longer than an address";
  variables_["NOTIFY_SOCKET"] = "/nowhere/at/all";
  ServiceManager(lookup()).tell({.phase = Phase::kReady});
}

TEST(ServiceCondition, IsWhatTheServiceSays) {
  GenerationService service;
  service.set_progress(1, 2);
  EXPECT_EQ(condition_of(service).phase, Phase::kLoading);
  EXPECT_EQ(condition_of(service).progress, 0.5);
  service.speak_for(ServiceState::kReady);
  EXPECT_EQ(condition_of(service).phase, Phase::kReady);
  service.speak_for(ServiceState::kUnhealthy);
  EXPECT_EQ(condition_of(service).phase, Phase::kUnhealthy);
  service.announce_drain();
  EXPECT_EQ(condition_of(service).phase, Phase::kStopping);
}

}  // namespace
}  // namespace qwen
