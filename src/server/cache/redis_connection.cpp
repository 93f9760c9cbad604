#include "server/cache/redis_connection.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/quote.h"

namespace qwen {
namespace {

constexpr size_t kReadAtOnce = 16 * 1024;

std::string system_error(const char* what, int error) { return str(what, ": ", std::strerror(error)); }

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

}  // namespace

struct RedisConnection::Impl {
  FileDescriptor socket;
  FileDescriptor wake{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  std::atomic<bool> stopped{false};
  std::optional<RedisReplyReader> reader;

  // Until the socket is ready for `events`.
  void wait(short events, Clock::time_point deadline) const {
    for (;;) {
      if (stopped) throw RedisFailure("stopped");
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      if (left.count() <= 0) throw RedisFailure("no answer in time");
      pollfd watched[2] = {{socket.get(), events, 0}, {wake.get(), POLLIN, 0}};
      const int ready = ::poll(watched, 2, static_cast<int>(left.count()));
      if (ready < 0 && errno != EINTR) throw RedisFailure(system_error("poll", errno));
      if (ready > 0 && watched[0].revents != 0) return;
    }
  }

  void connect_to(int family, const sockaddr* address, socklen_t size, Clock::time_point deadline) {
    socket = FileDescriptor(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket.valid()) throw RedisFailure(system_error("socket", errno));
    if (family != AF_UNIX) {
      const int on = 1;
      ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      ::setsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    if (::connect(socket.get(), address, size) == 0) return;
    if (errno != EINPROGRESS) throw RedisFailure(system_error("connect", errno));
    wait(POLLOUT, deadline);
    int error = 0;
    socklen_t error_size = sizeof error;
    ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &error_size);
    if (error != 0) throw RedisFailure(system_error("connect", error));
  }

  void connect_by_name(const std::string& host, int port, Clock::time_point deadline) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_family = AF_UNSPEC;
    addrinfo* found = nullptr;
    const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
    const std::unique_ptr<addrinfo, FreeAddresses> list(found);
    // EAI_AGAIN: what the resolver of a container says of a name that no other container has.
    if (error == EAI_NONAME || error == EAI_AGAIN) throw RedisAbsent("no such host");
    if (error != 0) throw RedisFailure(str("looking up the host: ", ::gai_strerror(error)));
    for (const addrinfo* one = list.get(); one != nullptr; one = one->ai_next) try {
        return connect_to(one->ai_family, one->ai_addr, one->ai_addrlen, deadline);
      } catch (const RedisFailure&) {
        if (one->ai_next == nullptr) throw;
      }
  }

  void send(std::string_view bytes, Clock::time_point deadline) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<size_t>(sent));
      } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        wait(POLLOUT, deadline);
      } else if (sent < 0 && errno != EINTR) {
        throw RedisFailure(system_error("send", errno));
      }
    }
  }

  RedisReply receive(Clock::time_point deadline) {
    char buffer[kReadAtOnce];
    reader->expect_next();
    for (;;) {
      const ssize_t size = ::recv(socket.get(), buffer, sizeof buffer, 0);
      if (size > 0) {
        if (auto reply = reader->feed({buffer, static_cast<size_t>(size)})) return std::move(*reply);
      } else if (size == 0) {
        throw RedisFailure("it closed the connection");
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        wait(POLLIN, deadline);
      } else if (errno != EINTR) {
        throw RedisFailure(system_error("recv", errno));
      }
    }
  }
};

RedisConnection::RedisConnection() : impl_(std::make_unique<Impl>()) {}
RedisConnection::~RedisConnection() = default;

bool RedisConnection::connected() const { return impl_->socket.valid(); }

void RedisConnection::disconnect() {
  impl_->socket.close();
  impl_->reader.reset();
}

void RedisConnection::stop() {
  impl_->stopped = true;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(impl_->wake.get(), &one, sizeof one);
}

RedisReply RedisConnection::command(std::initializer_list<std::string_view> words, Clock::time_point deadline) {
  if (!connected()) throw RedisFailure("not connected");
  try {
    impl_->send(redis_command(words), deadline);
    return impl_->receive(deadline);
  } catch (...) {
    disconnect();
    throw;
  }
}

void RedisConnection::connect(const RedisOptions& options, Clock::time_point deadline) {
  disconnect();
  try {
    impl_->reader.emplace();
    if (options.socket_path.empty()) {
      impl_->connect_by_name(options.host, options.port, deadline);
    } else {
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      options.socket_path.copy(address.sun_path, sizeof address.sun_path - 1);
      impl_->connect_to(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address, deadline);
    }
  } catch (...) {
    disconnect();
    throw;
  }
  const auto must = [&](const char* what, std::initializer_list<std::string_view> words) {
    const RedisReply reply = command(words, deadline);
    if (reply.kind == RedisReply::Kind::kStatus) return;
    disconnect();
    throw RedisFailure(str(what, ": ", reply.kind == RedisReply::Kind::kError ? quote(reply.text) : "no status"));
  };
  if (!options.user.empty())
    must("AUTH", {"AUTH", options.user, options.password});
  else if (!options.password.empty())
    must("AUTH", {"AUTH", options.password});
  if (options.database != 0) must("SELECT", {"SELECT", std::to_string(options.database)});
}

}  // namespace qwen
