#include "commands/curl.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "base/file_descriptor.h"

extern char** environ;

namespace qwen {
namespace {

constexpr int kTickMs = 200;
constexpr size_t kMostWords = 64 * 1024;

struct Pipe {
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw Error(ErrorCode::kOs, str("a pipe for curl: ", std::strerror(errno)));
    read = FileDescriptor(ends[0]);
    write = FileDescriptor(ends[1]);
  }
  FileDescriptor read, write;
};

std::string config_text(const CurlOptions& options) {
  std::string text;
  for (const auto& [name, value] : options) {
    text += name;
    if (!value.empty()) {
      text += " = \"";
      for (const char c : value) {
        if (c == '"' || c == '\\') text += '\\';
        if (c == '\n' || c == '\r') throw Error(ErrorCode::kUsage, str("a line break in ", name, " for curl"));
        text += c;
      }
      text += '"';
    }
    text += '\n';
  }
  return text;
}

pid_t spawn(const Pipe& config, const Pipe& words) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, config.read.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, words.write.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, words.write.get(), STDERR_FILENO);
  // -q: what somebody's ~/.curlrc says of other transfers does not hold for this one.
  const char* const arguments[] = {"curl", "-q", "--config", "-", nullptr};
  pid_t process = -1;
  const int error = ::posix_spawnp(&process, "curl", &actions, nullptr, const_cast<char* const*>(arguments), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error == ENOENT)
    throw Error(ErrorCode::kFailed, "the program curl is not here; install it (apt-get install curl)");
  if (error != 0) throw Error(ErrorCode::kOs, str("cannot start curl: ", std::strerror(error)));
  return process;
}

// What curl says, then on a line of its own the HTTP status.
CurlResult understood(std::string words, int wait_status) {
  CurlResult result;
  result.exit_status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
  const size_t mark = words.rfind("\nhttp ");
  if (mark != words.npos) {
    result.http_status = std::atoi(words.c_str() + mark + std::strlen("\nhttp "));
    // With a message before or after it.
    const size_t end = words.find('\n', mark + 1);
    words.erase(mark, end == words.npos ? words.npos : end - mark);
  }
  for (char& c : words)
    if (c == '\n' || c == '\r') c = ' ';
  while (!words.empty() && words.back() == ' ') words.pop_back();
  while (!words.empty() && words.front() == ' ') words.erase(0, 1);
  result.message = std::move(words);
  return result;
}

}  // namespace

CurlResult run_curl(const CurlOptions& options, const std::function<bool()>& go_on) {
  CurlOptions all = {{"silent", ""}, {"show-error", ""}, {"write-out", "\\nhttp %{http_code}\\n"}};
  all.insert(all.end(), options.begin(), options.end());
  const std::string text = config_text(all);
  Pipe config, words;
  if (text.size() > 32 * 1024) throw Error(ErrorCode::kUsage, "an address or token for curl is too long");
  // It fits into the pipe, whose other end is still open here: no write blocks or meets a closed pipe.
  if (::write(config.write.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    throw Error(ErrorCode::kOs, str("telling curl what to do: ", std::strerror(errno)));
  const pid_t process = spawn(config, words);
  config.read.close();
  config.write.close();
  words.write.close();
  std::string said;
  bool ended = false;
  while (true) {
    pollfd wait{words.read.get(), POLLIN, 0};
    const int ready = ::poll(&wait, 1, kTickMs);
    if (!ended && !go_on()) {
      ::kill(process, SIGTERM);
      ended = true;
    }
    if (ready <= 0) continue;
    char buffer[4096];
    const ssize_t got = ::read(words.read.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (said.size() < kMostWords) said.append(buffer, static_cast<size_t>(got));
  }
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  return understood(std::move(said), status);
}

}  // namespace qwen
