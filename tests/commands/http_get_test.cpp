#include "commands/http_get.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "base/error.h"

namespace qwen {
namespace {

// Accepts one connection, reads a little, answers with `reply` and closes.
class OneAnswer {
 public:
  explicit OneAnswer(std::string reply) : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this, reply = std::move(reply)] {
      const int peer = ::accept(listener_, nullptr, nullptr);
      char buffer[1024];
      const ssize_t n = ::recv(peer, buffer, sizeof buffer, 0);
      if (n > 0) request_.assign(buffer, static_cast<size_t>(n));
      (void)!::write(peer, reply.data(), reply.size());
      ::close(peer);
    });
  }
  ~OneAnswer() {
    if (thread_.joinable()) thread_.join();
    ::close(listener_);
  }
  const std::string& url() const { return url_; }
  std::string request() {
    thread_.join();
    return request_;
  }

 private:
  int listener_;
  std::string url_, request_;
  std::thread thread_;
};

TEST(HttpGet, ReturnsTheStatus) {
  OneAnswer server("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(http_get(server.url() + "/readyz?a=1", 5).status, 503);
  EXPECT_TRUE(server.request().starts_with("GET /readyz?a=1 HTTP/1.1\r\nHost: 127.0.0.1:"));
}

TEST(HttpGet, SaysWhatAnErrorSays) {
  OneAnswer server(
      "HTTP/1.1 400 Bad Request\r\nContent-Length: 44\r\n\r\n{\"error\":{\"message\":\"speaks HTTPS\",\"a\":1}}");
  EXPECT_EQ(http_get(server.url(), 5).message, "speaks HTTPS");
  OneAnswer endless("HTTP/1.1 500 No\r\n\r\n{\"message\":\"" + std::string(100'000, 'x'));
  EXPECT_EQ(http_get(endless.url(), 5).message.size(), 200u);
}

TEST(HttpGet, WhatIsNotHttpIsAnError) {
  OneAnswer garbage("SSH-2.0-OpenSSH_9.2p1\r\n");
  EXPECT_THROW(http_get(garbage.url(), 5), Error);
  OneAnswer silent("");
  EXPECT_THROW(http_get(silent.url(), 5), Error);
}

TEST(HttpGet, RefusesOtherUrls) {
  for (const char* url :
       {"ftp://127.0.0.1/", "https://", "127.0.0.1", "http://", "http://:80/", "http://host:/", "http://a/\r\nX: y"}) {
    try {
      http_get(url, 1);
      ADD_FAILURE() << url;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage) << url;
    }
  }
}

}  // namespace
}  // namespace qwen
