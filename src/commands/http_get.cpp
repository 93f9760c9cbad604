#include "commands/http_get.h"

#include <netdb.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
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
  bool tls = false;
};

Target parse_url(const std::string& url) {
  constexpr std::string_view kPlain = "http://", kTls = "https://";
  const bool tls = url.compare(0, kTls.size(), kTls) == 0;
  const std::string_view scheme = tls ? kTls : kPlain;
  const auto bad = [&] {
    return Error(ErrorCode::kUsage,
                 str("--url: \"", url, "\" is not of the form http://HOST[:PORT][/PATH] or https://…"), "--url");
  };
  if (url.compare(0, scheme.size(), scheme) != 0) throw bad();
  for (const char c : url) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) throw bad();
  }
  Target target{.tls = tls};
  const size_t slash = url.find('/', scheme.size());
  target.authority = url.substr(scheme.size(), slash == std::string::npos ? slash : slash - scheme.size());
  target.path = slash == std::string::npos ? "/" : url.substr(slash);
  const size_t bracket = target.authority.find(']');
  const size_t colon = target.authority.find(':', bracket == std::string::npos ? 0 : bracket);
  target.host = target.authority.substr(0, colon);
  target.port = colon == std::string::npos ? (tls ? "443" : "80") : target.authority.substr(colon + 1);
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

// Bytes over a connected socket, under TLS where the URL says so. Sends and receives within the socket's limits.
class Channel {
 public:
  Channel(const Socket& socket, bool tls, const std::string& url) : socket_(socket.get()) {
    if (!tls) return;
    context_.reset(::SSL_CTX_new(::TLS_client_method()));
    if (context_) tls_.reset(::SSL_new(context_.get()));
    if (!tls_ || ::SSL_set_fd(tls_.get(), socket_) != 1 || ::SSL_connect(tls_.get()) != 1)
      throw Error(ErrorCode::kFailed, str(url, ": no TLS could be agreed on; does the service speak plain HTTP?"));
  }

  bool send(const std::string& bytes) {
    if (tls_) return ::SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0;
    return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }

  ssize_t receive(char* buffer, size_t size) {
    if (tls_) return ::SSL_read(tls_.get(), buffer, static_cast<int>(size));
    ssize_t n = -1;
    do n = ::recv(socket_, buffer, size, 0);
    while (n < 0 && errno == EINTR);
    return n;
  }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { ::SSL_CTX_free(context); }
    void operator()(SSL* tls) const { ::SSL_free(tls); }
  };
  const int socket_;
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> tls_;
};

// No parser: what cannot be read this way is left out.
std::string error_message(const std::string& answer) {
  constexpr std::string_view kBefore = "\"message\":\"";
  constexpr size_t kLongest = 200;
  const size_t at = answer.find(kBefore);
  if (at == answer.npos) return {};
  const size_t begin = at + kBefore.size();
  const size_t end = std::min(answer.find_first_of("\"\\", begin), answer.size());
  return answer.substr(begin, std::min(end - begin, kLongest));
}

}  // namespace

HttpAnswer http_get(const std::string& url, int timeout_seconds) {
  const Target target = parse_url(url);
  const Socket socket = connect_to(target, timeout_seconds, url);
  const std::string request =
      "GET " + target.path + " HTTP/1.1\r\nHost: " + target.authority + "\r\nAccept: */*\r\nConnection: close\r\n\r\n";
  Channel channel(socket, target.tls, url);
  if (!channel.send(request)) throw Error(ErrorCode::kFailed, str(url, ": the request could not be sent"));
  std::string answer;
  constexpr size_t kStatusLine = 12;  // "HTTP/1.1 200"
  while (answer.size() < kStatusLine) {
    char buffer[256];
    const ssize_t n = channel.receive(buffer, sizeof buffer);
    if (n <= 0) throw Error(ErrorCode::kFailed, str(url, ": no answer within ", timeout_seconds, " s"));
    answer.append(buffer, static_cast<size_t>(n));
  }
  const auto digit = [&](size_t i) { return answer[i] >= '0' && answer[i] <= '9' ? answer[i] - '0' : -1000; };
  const int status = digit(9) * 100 + digit(10) * 10 + digit(11);
  if (answer.compare(0, 5, "HTTP/") != 0 || status < 100)
    throw Error(ErrorCode::kFailed, str(url, ": the answer is not HTTP"));
  constexpr size_t kMost = 8 * 1024;
  while (status != 200 && answer.size() < kMost) {
    char buffer[1024];
    const ssize_t n = channel.receive(buffer, sizeof buffer);
    if (n <= 0) break;
    answer.append(buffer, static_cast<size_t>(n));
  }
  return {status, error_message(answer)};
}

}  // namespace qwen
