#include "server/http/listener.h"

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
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
constexpr size_t kMakeRoomFor = 32;  // connections closed at once when descriptors run out
constexpr int kBacklog = 1024;
constexpr std::chrono::milliseconds kMoment{1};  // for a process that is less busy to take a connection
constexpr std::chrono::milliseconds kNotNowPause{50};
// For handshakes that are under way when the port closes. A process that closes for itself alone gives the one that
// closes for all the time to begin.
constexpr std::chrono::milliseconds kLastHandshakes{50}, kOthersBegin{100};

// An accepted socket that no connection serves yet; closed where none ever does.
struct Arrival {
  Arrival(int accepted, bool is_ipv6, std::string address)
      : descriptor(accepted), ipv6(is_ipv6), client(std::move(address)) {}
  ~Arrival() {
    if (descriptor >= 0) ::close(descriptor);
  }
  Arrival(const Arrival&) = delete;
  Arrival& operator=(const Arrival&) = delete;

  int descriptor;
  const bool ipv6;
  const std::string client;
};

tcp::endpoint resolve(asio::io_context& context, const std::string& host, int port) {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (!error) return {address, static_cast<unsigned short>(port)};
  tcp::resolver resolver(context);
  const auto results = resolver.resolve(host, std::to_string(port), error);
  if (error || results.empty())
    throw Error(ErrorCode::kOs,
                str("cannot resolve host '", host, "': ", error.message(),
                    "; choose an address of this machine, or 0.0.0.0 for all"),
                "host");
  return results.begin()->endpoint();
}

const char* mend(const boost::system::error_code& error) {
  if (error == asio::error::address_in_use) return "; ss -ltnp tells who has this port: end it, or choose another port";
  if (error == asio::error::access_denied)
    return "; a port below 1024 is root's: choose a higher one, or give the service CAP_NET_BIND_SERVICE";
  if (error == boost::system::errc::address_not_available)
    return "; this machine has no such address: choose one of its own, or 0.0.0.0 for all";
  return "";
}

Error cannot_listen(const std::string& name, const boost::system::error_code& error) {
  const bool host = error == boost::system::errc::address_not_available;
  return {ErrorCode::kOs, str("cannot listen on ", name, ": ", error.message(), mend(error)), host ? "host" : "port"};
}

// The connection is one too many: a best effort to say so, never waiting.
void turn_away(const Arrival& arrival, ConnectionContext& context) {
  if (context.tls) {  // no word could be said before a handshake
    if (context.on_request)
      context.on_request({.request_id = request_id_or_new({}),
                          .client = arrival.client,
                          .status = 503,
                          .code = "server_overloaded",
                          .shortage = Shortage::kConnections});
    return;
  }
  // What the client sent already is taken: closing over unread bytes would reset the connection under the answer.
  char sent_already[4096];
  const auto taken = ::recv(arrival.descriptor, sent_already, sizeof sent_already, MSG_DONTWAIT);
  const std::string_view head(sent_already, taken > 0 ? static_cast<size_t>(taken) : 0);
  AccessRecord record{.request_id = request_id_or_new(callers_request_id(head)), .client = arrival.client};
  const Response response = error_response(overloaded("too many connections", Shortage::kConnections));
  const Framing framing{.keep_alive = false, .body_size = response.body.size(), .request_id = record.request_id};
  const std::string bytes = serialize_head(response, framing) + response.body;
  [[maybe_unused]] const auto sent =
      ::send(arrival.descriptor, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ::shutdown(arrival.descriptor, SHUT_WR);
  record.status = response.status;
  record.code = response.code;
  record.shortage = response.shortage;
  record.bytes_out = bytes.size();
  if (context.on_request) context.on_request(record);
}

}  // namespace

struct Listener::Impl : std::enable_shared_from_this<Listener::Impl> {
  Impl(std::vector<std::shared_ptr<IoLoop>> io_loops, std::shared_ptr<ConnectionContext> shared, PortSharing how)
      : loops(std::move(io_loops)),
        context(std::move(shared)),
        sharing(std::move(how)),
        io(std::make_unique<Io>(loops[0]->context())) {}

  // What belongs to the first loop's context, and goes with it.
  struct Io {
    explicit Io(asio::io_context& of) : acceptor(of), pause(of) {}
    tcp::acceptor acceptor;
    asio::steady_timer pause;
  };

  bool open() const { return io && io->acceptor.is_open(); }

  void accept() {
    io->acceptor.async_wait(tcp::acceptor::wait_read,
                            [self = shared_from_this()](const boost::system::error_code& error) {
                              // What finish() has begun goes on by its own timer, which waiting here would put off.
                              if (!error && self->open() && !self->finishing) self->on_readable();
                            });
  }

  void on_readable() {
    for (;;) {
      switch (sharing.turn ? sharing.turn() : Turn::kTake) {
        case Turn::kNotNow:
          return after(kNotNowPause, [this] { accept(); });
        case Turn::kAfterAMoment:
          return after(kMoment, [this] {
            if (take()) accept();
          });
        case Turn::kTake:
          if (take()) continue;
          return;
      }
    }
  }

  // Takes one connection. False: there was none, or no room for it; it has seen to it that it goes on.
  bool take() {
    boost::system::error_code error;
    tcp::socket socket = io->acceptor.accept(error);
    if (error == asio::error::would_block || error == asio::error::try_again) {
      if (finishing)
        close();
      else
        accept();
      return false;
    }
    // The client has gone again, or the network told of an earlier trouble: of this connection alone.
    if (error == asio::error::connection_aborted || error == asio::error::interrupted) return true;
    if (error) return wait_for_descriptors(error.message()), false;
    try {
      hand_over(std::move(socket));
      paused = false;
    } catch (const std::exception& e) {
      return wait_for_descriptors(e.what()), false;
    }
    return true;
  }

  template <typename Then>
  void after(std::chrono::milliseconds time, Then then) {
    io->pause.expires_after(time);
    io->pause.async_wait([self = shared_from_this(), then](const boost::system::error_code& cancelled) {
      if (!cancelled && self->open()) then();
    });
  }

  void finish() {
    if (!open() || std::exchange(finishing, true)) return;
    if (!listening) return close();
    if (sharing.closes_for_all) end_handshakes(io->acceptor.native_handle());
    boost::system::error_code ignored;
    io->acceptor.cancel(ignored);  // the wait for a connection, not the socket
    after(sharing.closes_for_all ? kLastHandshakes : kOthersBegin + kLastHandshakes, [this] {
      while (take()) {
      }
    });
  }

  void close() {
    boost::system::error_code ignored;
    if (io) io->acceptor.close(ignored);
    if (io) io->pause.cancel();
    is_closed = true;
  }

  // Descriptors or memory ran out. Whoever waits in the backlog will still be there in a moment; connections that ask
  // for nothing give way meanwhile.
  void wait_for_descriptors(const std::string& reason) {
    if (!paused) log_warning("accept: ", reason, "; pausing");
    paused = true;
    after(kAcceptPause, [this] {
      if (finishing)
        while (take()) {
        }
      else
        accept();
    });
    for (const auto& loop : loops)
      loop->post([loop, before = std::chrono::steady_clock::now() - context->limits.eviction_age] {
        loop->abort_waiting(kMakeRoomFor, before);
      });
  }

  void hand_over(tcp::socket socket) {
    boost::system::error_code failed;
    const tcp::endpoint peer = socket.remote_endpoint(failed);
    if (failed) return;  // gone already
    socket.non_blocking(true, failed);
    std::string client = peer.address().to_string();
    const int descriptor = socket.release(failed);
    if (!failed) place(std::make_shared<Arrival>(descriptor, acceptor_ipv6, std::move(client)), loops.size());
  }

  // On any loop's thread. Where all places are taken, the loops are asked one after the other for a connection that has
  // long been without a request.
  void place(std::shared_ptr<Arrival> arrival, size_t loops_to_ask) {
    const auto loop = loops[next++ % loops.size()];
    const auto found = context->count.acquire(arrival->client, context->limits);
    if (found == ConnectionCount::Place::kFree) return serve(loop, std::move(arrival));
    if (found == ConnectionCount::Place::kClientFull || loops_to_ask == 0) return turn_away(*arrival, *context);
    loop->post([self = shared_from_this(), loop, arrival = std::move(arrival), loops_to_ask] {
      const auto before = std::chrono::steady_clock::now() - self->context->limits.eviction_age;
      const size_t freed = loop->abort_waiting(1, before);
      self->place(arrival, freed > 0 ? loops_to_ask : loops_to_ask - 1);
    });
  }

  void serve(const std::shared_ptr<IoLoop>& loop, std::shared_ptr<Arrival> arrival) {
    // Whatever happens to the task, the place in the count is given back: by the connection, or with the ticket.
    struct Ticket {
      std::shared_ptr<ConnectionContext> context;
      std::shared_ptr<Arrival> arrival;
      ~Ticket() {
        if (arrival->descriptor >= 0) context->count.release(arrival->client);
      }
    };
    const auto ticket = std::shared_ptr<Ticket>(new Ticket{context, std::move(arrival)});
    loop->post([loop, ticket] {
      Arrival& accepted = *ticket->arrival;
      const int descriptor = std::exchange(accepted.descriptor, -1);
      serve_connection(loop, descriptor, accepted.ipv6, accepted.client, ticket->context);
    });
  }

  std::vector<std::shared_ptr<IoLoop>> loops;
  std::shared_ptr<ConnectionContext> context;
  const PortSharing sharing;
  std::unique_ptr<Io> io;  // null once the loop has ended
  std::string name;        // of the port, for errors
  bool acceptor_ipv6 = false;
  bool paused = false, finishing = false;
  std::atomic<bool> listening = false, is_closed = false;
  std::atomic<size_t> next = 0;
  int port = 0;
};

Listener::Listener(std::vector<std::shared_ptr<IoLoop>> loops, std::shared_ptr<ConnectionContext> context,
                   const std::string& host, int port, PortSharing sharing)
    : impl_(std::make_shared<Impl>(std::move(loops), std::move(context), std::move(sharing))) {
  const tcp::endpoint endpoint = resolve(impl_->loops[0]->context(), host, port);
  boost::system::error_code error;
  auto& acceptor = impl_->io->acceptor;
  impl_->loops[0]->at_end([listener = std::weak_ptr(impl_)] {
    if (const auto alive = listener.lock()) alive->io.reset();
  });
  impl_->name = str(host, ':', port);
  if (impl_->sharing.inherited_socket >= 0) {
    acceptor.assign(endpoint.protocol(), impl_->sharing.inherited_socket, error);
  } else {
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
  }
  if (!error) acceptor.non_blocking(true, error);
  if (!error && !impl_->sharing.opens_late) acceptor.listen(kBacklog, error);
  if (error) throw cannot_listen(impl_->name, error);
  impl_->acceptor_ipv6 = endpoint.address().is_v6();
  impl_->port = acceptor.local_endpoint().port();
}

Listener::~Listener() { stop(); }

void Listener::start() {
  boost::system::error_code error;
  if (impl_->sharing.opens_late) impl_->io->acceptor.listen(kBacklog, error);
  if (error) throw cannot_listen(impl_->name, error);
  impl_->listening = true;
  impl_->loops[0]->post([impl = impl_] {
    if (impl->open()) impl->accept();
  });
}

void Listener::finish() {
  impl_->loops[0]->post([impl = impl_] { impl->finish(); });
}

void Listener::stop() {
  impl_->loops[0]->post([impl = impl_] { impl->close(); });
}

bool Listener::closed() const { return impl_->is_closed; }
int Listener::socket() const { return impl_->io->acceptor.native_handle(); }

int Listener::port() const { return impl_->port; }

}  // namespace qwen
