#include "server/http/listener.h"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/log.h"
#include "server/api/errors.h"
#include "server/http/request_id.h"

namespace qwen {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

namespace {

constexpr std::chrono::milliseconds kAcceptPause{100};

tcp::endpoint resolve(asio::io_context& context, const std::string& host, int port) {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (!error) return {address, static_cast<unsigned short>(port)};
  tcp::resolver resolver(context);
  const auto results = resolver.resolve(host, std::to_string(port), error);
  if (error || results.empty())
    throw Error(ErrorCode::kOs, str("cannot resolve host '", host, "': ", error.message()), "host");
  return results.begin()->endpoint();
}

// The connection is one too many: a best effort to say so, never waiting.
void turn_away(int socket) {
  const std::string id = request_id_or_new("");
  const Response response = error_response(
      {.status = 503, .code = "server_overloaded", .message = "too many connections", .retry_after_seconds = 1});
  const Framing framing{.keep_alive = false, .body_size = response.body.size(), .request_id = id};
  const std::string bytes = serialize_head(response, framing) + response.body;
  [[maybe_unused]] const auto sent = ::send(socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ::shutdown(socket, SHUT_WR);
  ::close(socket);
}

}  // namespace

struct Listener::Impl : std::enable_shared_from_this<Listener::Impl> {
  Impl(std::vector<std::shared_ptr<IoLoop>> io_loops, std::shared_ptr<ConnectionContext> shared)
      : loops(std::move(io_loops)),
        context(std::move(shared)),
        acceptor(loops[0]->context()),
        pause(loops[0]->context()) {}

  void accept() {
    acceptor.async_accept([self = shared_from_this()](const boost::system::error_code& error, tcp::socket socket) {
      self->on_accept(error, std::move(socket));
    });
  }

  void on_accept(const boost::system::error_code& error, tcp::socket socket) {
    if (!acceptor.is_open()) return;
    if (error) {
      // Descriptors or memory ran out: whoever waits in the backlog will still be there in a moment.
      if (!paused) log_warning("accept: ", error.message(), "; pausing");
      paused = true;
      pause.expires_after(kAcceptPause);
      pause.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
        if (!cancelled && self->acceptor.is_open()) self->accept();
      });
      return;
    }
    paused = false;
    hand_over(std::move(socket));
    accept();
  }

  void hand_over(tcp::socket socket) {
    boost::system::error_code failed;
    const tcp::endpoint peer = socket.remote_endpoint(failed);
    if (failed) return;  // gone already
    socket.non_blocking(true, failed);
    const bool ipv6 = acceptor_ipv6;
    std::string client = peer.address().to_string();
    const int descriptor = socket.release(failed);
    if (failed) return;
    if (!context->count.acquire(client, context->limits)) return turn_away(descriptor);
    const auto loop = loops[next++ % loops.size()];
    const bool posted = loop->post([loop, descriptor, ipv6, client, shared = context] {
      serve_connection(loop, descriptor, ipv6, client, shared);
    });
    if (posted) return;
    ::close(descriptor);
    context->count.release(client);
  }

  std::vector<std::shared_ptr<IoLoop>> loops;
  std::shared_ptr<ConnectionContext> context;
  tcp::acceptor acceptor;
  asio::steady_timer pause;
  bool acceptor_ipv6 = false;
  bool paused = false;
  size_t next = 0;
  int port = 0;
};

Listener::Listener(std::vector<std::shared_ptr<IoLoop>> loops, std::shared_ptr<ConnectionContext> context,
                   const std::string& host, int port)
    : impl_(std::make_shared<Impl>(std::move(loops), std::move(context))) {
  const tcp::endpoint endpoint = resolve(impl_->loops[0]->context(), host, port);
  boost::system::error_code error;
  auto& acceptor = impl_->acceptor;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(1024, error);
  if (error) throw Error(ErrorCode::kOs, str("cannot listen on ", host, ':', port, ": ", error.message()), "port");
  impl_->acceptor_ipv6 = endpoint.address().is_v6();
  impl_->port = acceptor.local_endpoint().port();
}

Listener::~Listener() { stop(); }

void Listener::start() {
  impl_->loops[0]->post([impl = impl_] { impl->accept(); });
}

void Listener::stop() {
  impl_->loops[0]->post([impl = impl_] {
    boost::system::error_code ignored;
    impl->acceptor.close(ignored);
    impl->pause.cancel();
  });
}

int Listener::port() const { return impl_->port; }

}  // namespace qwen
