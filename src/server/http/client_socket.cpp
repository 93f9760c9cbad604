#include "server/http/client_socket.h"

#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>

#include "base/file_descriptor.h"
#include "server/http/socket_options.h"
#include "server/http/tls_context.h"

namespace qwen {
namespace {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using ErrorCodeT = boost::system::error_code;

constexpr std::string_view kPlainOnTls =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 144\r\nConnection: close\r\n\r\n"
    "{\"error\":{\"message\":\"this port speaks HTTPS: begin the address with https://\",\"type\":"
    "\"invalid_request_error\",\"param\":null,\"code\":\"bad_request\"}}";

IoResult result_of(const ErrorCodeT& error) {
  if (!error) return IoResult::kDone;
  return error == asio::error::eof || error == asio::ssl::error::stream_truncated ? IoResult::kEnd : IoResult::kFailed;
}

class PlainSocket final : public ClientSocket {
 public:
  explicit PlainSocket(tcp::socket socket) : socket_(std::move(socket)) {}

  bool needs_handshake() const override { return false; }
  void open(SocketUserPtr user) override { user->on_open(IoResult::kDone); }
  void read(std::span<char> into, SocketUserPtr user) override {
    socket_.async_read_some(
        asio::buffer(into.data(), into.size()),
        [user = std::move(user)](const ErrorCodeT& error, size_t size) { user->on_read(result_of(error), size); });
  }
  void write(std::string_view bytes, SocketUserPtr user) override {
    socket_.async_write_some(
        asio::buffer(bytes.data(), bytes.size()),
        [user = std::move(user)](const ErrorCodeT& error, size_t size) { user->on_written(result_of(error), size); });
  }
  void end_output(SocketUserPtr) override {
    ErrorCodeT ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
  }
  void close() override {
    ErrorCodeT ignored;
    socket_.close(ignored);
  }

 private:
  tcp::socket socket_;
};

class TlsSocket final : public ClientSocket {
 public:
  TlsSocket(tcp::socket socket, asio::ssl::context& context) : stream_(std::move(socket), context) {}

  bool needs_handshake() const override { return true; }

  void open(SocketUserPtr user) override {
    stream_.async_handshake(asio::ssl::stream_base::server, [this, user = std::move(user)](const ErrorCodeT& error) {
      if (is_plain_http(error)) answer_plain_http();
      user->on_open(error ? IoResult::kFailed : IoResult::kDone);
    });
  }

  void read(std::span<char> into, SocketUserPtr user) override {
    if (output_ended_) return read_raw(into, std::move(user));
    stream_.async_read_some(asio::buffer(into.data(), into.size()),
                            [this, into, user = std::move(user)](const ErrorCodeT& error, size_t size) mutable {
                              if (error && output_ended_ && !at_end()) return read_raw(into, std::move(user));
                              user->on_read(result_of(error), size);
                            });
  }

  void write(std::string_view bytes, SocketUserPtr user) override {
    stream_.async_write_some(
        asio::buffer(bytes.data(), bytes.size()),
        [user = std::move(user)](const ErrorCodeT& error, size_t size) { user->on_written(result_of(error), size); });
  }

  // A close_notify, and then TCP's own end. OpenSSL would wait for the peer's close_notify, and takes whatever else
  // comes for an error; told that it came already, it only sends. What comes from here on is taken off the socket
  // undeciphered.
  void end_output(SocketUserPtr user) override {
    output_ended_ = true;
    ::SSL_set_shutdown(stream_.native_handle(), ::SSL_get_shutdown(stream_.native_handle()) | SSL_RECEIVED_SHUTDOWN);
    stream_.async_shutdown([this, user = std::move(user)](const ErrorCodeT&) {
      ErrorCodeT ignored;
      stream_.lowest_layer().shutdown(tcp::socket::shutdown_send, ignored);
    });
  }

  void close() override {
    ErrorCodeT ignored;
    stream_.lowest_layer().close(ignored);
  }

 private:
  static bool is_plain_http(const ErrorCodeT& error) {
    return error.category() == asio::error::get_ssl_category() &&
           ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_HTTP_REQUEST;
  }

  // A best effort, never waiting.
  void answer_plain_http() {
    const int socket = stream_.lowest_layer().native_handle();
    [[maybe_unused]] const auto sent =
        ::send(socket, kPlainOnTls.data(), kPlainOnTls.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    ::shutdown(socket, SHUT_WR);
  }

  // Closed, or the peer's end has been read already: Asio would wait for another one.
  bool at_end() {
    char byte = 0;
    return !stream_.lowest_layer().is_open() ||
           ::recv(stream_.lowest_layer().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
  }

  void read_raw(std::span<char> into, SocketUserPtr user) {
    stream_.next_layer().async_read_some(
        asio::buffer(into.data(), into.size()),
        [user = std::move(user)](const ErrorCodeT& error, size_t size) { user->on_read(result_of(error), size); });
  }

  asio::ssl::stream<tcp::socket> stream_;
  bool output_ended_ = false;
};

}  // namespace

std::unique_ptr<ClientSocket> make_client_socket(asio::io_context& context, int descriptor, bool ipv6,
                                                 const TlsContext* tls) {
  tcp::socket socket(context);
  FileDescriptor owned(descriptor);
  socket.assign(ipv6 ? tcp::v6() : tcp::v4(), descriptor);
  static_cast<void>(owned.release());
  set_client_options(socket.native_handle());
  if (tls == nullptr) return std::make_unique<PlainSocket>(std::move(socket));
  return std::make_unique<TlsSocket>(std::move(socket), *tls->current());
}

}  // namespace qwen
