// The bytes of one client connection, plain or under TLS: the same calls for both, so that a connection does not know
// which it has. One read and one write may be outstanding at a time. Everything happens on the loop's thread; nothing
// is reported after close().
#pragma once

#include <memory>
#include <span>
#include <string_view>

namespace boost::asio {
class io_context;
}

namespace qwen {

class TlsContext;

enum class IoResult {
  kDone,
  kEnd,     // the peer sends no more; under TLS also where it left without saying so
  kFailed,  // the connection is lost, or was never one
};

// Whose socket it is; kept alive by what is outstanding.
class SocketUser {
 public:
  virtual ~SocketUser() = default;
  virtual void on_open(IoResult result) = 0;
  virtual void on_read(IoResult result, size_t size) = 0;
  virtual void on_written(IoResult result, size_t size) = 0;
};
using SocketUserPtr = std::shared_ptr<SocketUser>;

class ClientSocket {
 public:
  virtual ~ClientSocket() = default;

  // False: bytes may be read at once. True: open() comes first, and reports on_open().
  virtual bool needs_handshake() const = 0;
  virtual void open(SocketUserPtr user) = 0;

  virtual void read(std::span<char> into, SocketUserPtr user) = 0;
  virtual void write(std::string_view bytes, SocketUserPtr user) = 0;  // which stay where they are until it is reported
  // Says that nothing more is sent; after the last write. What the peer still sends is read on, and means nothing.
  virtual void end_output(SocketUserPtr user) = 0;
  virtual void close() = 0;
};

// Takes an accepted, non-blocking socket over, whatever happens. `tls` null: plain. Errors: std::exception.
std::unique_ptr<ClientSocket> make_client_socket(boost::asio::io_context& context, int socket, bool ipv6,
                                                 const TlsContext* tls);

}  // namespace qwen
