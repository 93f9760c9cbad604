#include "commands/http_get.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace qwen {
namespace {

struct Target {
  std::string authority;  // as in the Host header
  std::string host, port, path;
};

Target parse_url(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  const auto bad = [&] {
    return Error(ErrorCode::kUsage, str("--url: \"", url, "\" is not of the form http://HOST[:PORT][/PATH]"), "--url");
  };
  if (url.compare(0, kScheme.size(), kScheme) != 0) throw bad();
  for (const char c : url) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) throw bad();
  }
  Target target;
  const size_t slash = url.find('/', kScheme.size());
  target.authority = url.substr(kScheme.size(), slash == std::string::npos ? slash : slash - kScheme.size());
  target.path = slash == std::string::npos ? "/" : url.substr(slash);
  const size_t bracket = target.authority.find(']');
  const size_t colon = target.authority.find(':', bracket == std::string::npos ? 0 : bracket);
  target.host = target.authority.substr(0, colon);
  target.port = colon == std::string::npos ? "80" : target.authority.substr(colon + 1);
  if (target.host.size() > 2 && target.host.front() == '[' && target.host.back() == ']')
    target.host = target.host.substr(1, target.host.size() - 2);
  if (target.host.empty() || target.port.empty()) throw bad();
  return target;
}

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  int get() const { return fd_; }

 private:
  int fd_;
};

Socket connect_to(const Target& target, int timeout_seconds, const std::string& url) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int problem = ::getaddrinfo(target.host.c_str(), target.port.c_str(), &hints, &found); problem != 0)
    throw Error(ErrorCode::kFailed, str(url, ": ", ::gai_strerror(problem)));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
  int reason = ECONNREFUSED;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    Socket socket(::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol));
    if (socket.get() < 0) continue;
    const timeval limit{timeout_seconds, 0};  // Linux applies the send limit to connect() as well
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (::connect(socket.get(), at->ai_addr, at->ai_addrlen) == 0) return socket;
    reason = errno;
  }
  throw Error(ErrorCode::kFailed, str(url, ": ", std::strerror(reason), "; is the service running?"));
}

}  // namespace

int http_get_status(const std::string& url, int timeout_seconds) {
  const Target target = parse_url(url);
  const Socket socket = connect_to(target, timeout_seconds, url);
  const std::string request =
      "GET " + target.path + " HTTP/1.1\r\nHost: " + target.authority + "\r\nAccept: */*\r\nConnection: close\r\n\r\n";
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    throw Error(ErrorCode::kFailed, str(url, ": ", std::strerror(errno)));
  std::string answer;
  constexpr size_t kStatusLine = 12;  // "HTTP/1.1 200"
  while (answer.size() < kStatusLine) {
    char buffer[256];
    const ssize_t n = ::recv(socket.get(), buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw Error(ErrorCode::kFailed, str(url, ": no answer within ", timeout_seconds, " s"));
    answer.append(buffer, static_cast<size_t>(n));
  }
  const auto digit = [&](size_t i) { return answer[i] >= '0' && answer[i] <= '9' ? answer[i] - '0' : -1000; };
  const int status = digit(9) * 100 + digit(10) * 10 + digit(11);
  if (answer.compare(0, 5, "HTTP/") != 0 || status < 100)
    throw Error(ErrorCode::kFailed, str(url, ": the answer is not HTTP"));
  return status;
}

}  // namespace qwen
