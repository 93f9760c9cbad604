// A client that sends exactly the bytes it is told to and reads answers apart: what the socket tests speak with. Reads
// give up after a few seconds, so a server that hangs fails the test.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace qwen::test {

// "Within a second", on a machine that is not slowed down by a sanitizer.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr std::chrono::milliseconds kASecond{5'000};
#else
inline constexpr std::chrono::milliseconds kASecond{1'000};
#endif

struct HttpAnswer {
  int status = 0;  // 0: no answer came
  std::string head, body;
  std::string header(std::string_view name) const {
    const std::string wanted = "\r\n" + std::string(name) + ": ";
    const size_t at = head.find(wanted);
    if (at == std::string::npos) return {};
    const size_t begin = at + wanted.size();
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
  nlohmann::json json() const { return nlohmann::json::parse(body); }
  std::string error_code() const { return json().at("error").at("code"); }
};

class RawClient {
 public:
  static constexpr int kPatienceMs = 20'000;

  explicit RawClient(int port, int receive_buffer = 0) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer > 0) ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { close(); }
  RawClient(RawClient&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)), connected_(other.connected_), buffer_(std::move(other.buffer_)) {}
  RawClient(const RawClient&) = delete;

  bool connected() const { return connected_; }
  int socket() const { return socket_; }

  // False where the server has closed the connection.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  void half_close() { ::shutdown(socket_, SHUT_WR); }
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  void reset() {  // RST instead of FIN
    const linger hard{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close();
  }

  // Reads until `marker` is in the buffer and returns everything up to and with it; shorter at the end of the
  // connection.
  std::string read_until(std::string_view marker, int patience_ms = kPatienceMs) {
    while (buffer_.find(marker) == std::string::npos)
      if (!fill(patience_ms)) return std::exchange(buffer_, {});
    const size_t end = buffer_.find(marker) + marker.size();
    std::string result = buffer_.substr(0, end);
    buffer_.erase(0, end);
    return result;
  }
  std::string read_exactly(size_t size) {
    while (buffer_.size() < size && fill(kPatienceMs)) {
    }
    std::string result = buffer_.substr(0, size);
    buffer_.erase(0, result.size());
    return result;
  }
  // All until the server closes.
  std::string read_to_end(int patience_ms = kPatienceMs) {
    while (fill(patience_ms)) {
    }
    return std::exchange(buffer_, {});
  }
  // The server has closed: end of stream (or reset) within the time, and nothing more before it.
  bool closed_by_server(int patience_ms = kPatienceMs) {
    while (fill(patience_ms)) {
    }
    return ended_ && buffer_.empty();
  }

  // One answer with Content-Length or chunks (joined).
  HttpAnswer read_answer(bool to_head = false) {
    HttpAnswer answer;
    answer.head = read_until("\r\n\r\n");
    if (answer.head.size() < 12) return answer;
    answer.status = std::stoi(answer.head.substr(9, 3));
    if (to_head || answer.status == 204 || answer.status == 304) return answer;
    if (const std::string length = answer.header("Content-Length"); !length.empty()) {
      answer.body = read_exactly(std::stoul(length));
    } else if (answer.header("Transfer-Encoding") == "chunked") {
      for (;;) {
        const std::string line = read_until("\r\n");
        if (line.empty()) break;
        const size_t size = std::stoul(line, nullptr, 16);
        answer.body += read_exactly(size);
        read_exactly(2);
        if (size == 0) break;
      }
    } else {
      answer.body = read_to_end();
    }
    return answer;
  }

 private:
  bool fill(int patience_ms) {
    if (ended_) return false;
    pollfd poll_for{socket_, POLLIN, 0};
    if (::poll(&poll_for, 1, patience_ms) <= 0) return false;
    char bytes[16384];
    const ssize_t got = ::recv(socket_, bytes, sizeof bytes, 0);
    if (got <= 0) {
      ended_ = true;
      return false;
    }
    buffer_.append(bytes, static_cast<size_t>(got));
    return true;
  }

  int socket_;
  bool connected_ = false;
  bool ended_ = false;
  std::string buffer_;
};

inline std::string post(std::string_view path, std::string_view body, std::string_view more_headers = "") {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n" +
         std::string(more_headers) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}
inline std::string get(std::string_view path, std::string_view more_headers = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: test\r\n" + std::string(more_headers) + "\r\n";
}

inline HttpAnswer ask(int port, std::string_view request) {
  RawClient client(port);
  client.send(request);
  return client.read_answer();
}

// The payloads of a stream of events; comments are left out.
inline std::vector<std::string> sse_events(std::string_view body) {
  std::vector<std::string> events;
  while (!body.empty()) {
    const size_t end = body.find("\n\n");
    if (end == std::string_view::npos) break;
    const std::string_view event = body.substr(0, end);
    body.remove_prefix(end + 2);
    if (event.substr(0, 6) == "data: ") events.emplace_back(event.substr(6));
  }
  return events;
}

// Waits for `condition`; false where it does not come true in time.
template <typename Condition>
bool eventually(Condition condition, std::chrono::milliseconds limit = 20 * kASecond) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

// Checks the one error shape.
inline void expect_error(const HttpAnswer& answer, int status, std::string_view code) {
  ASSERT_EQ(answer.status, status) << answer.head << answer.body;
  const nlohmann::json error = answer.json().at("error");
  EXPECT_EQ(error.at("code"), code) << answer.body;
  EXPECT_TRUE(error.at("message").is_string());
  EXPECT_TRUE(error.at("type").is_string());
  EXPECT_TRUE(error.contains("param"));
  EXPECT_LE(answer.body.size(), 1100u);
  EXPECT_FALSE(answer.header("X-Request-Id").empty());
}

}  // namespace qwen::test
