// How a port is shared by the processes of a service: one listening socket, opened once and inherited, so that nothing
// that waits in its queue is lost when a process ends. Whoever is busier than another waits a moment before it takes a
// connection, and finds it gone.
#pragma once

#include <functional>

namespace qwen {

enum class Turn { kTake, kAfterAMoment, kNotNow };  // kNotNow: not as long as others do

struct PortSharing {
  int inherited_socket = -1;   // -1: opens the port itself
  bool opens_late = false;     // who connects before start() is refused; else waits
  bool closes_for_all = true;  // stopping it turns away who comes later, in whichever process
  std::function<Turn()> turn;  // on the I/O thread, before a connection is taken; empty: always kTake
};

// From here on nobody else begins to connect to this TCP socket: the handshakes that are under way are completed, a new
// one gets no answer until the socket is closed, and is refused then. Errors are of no matter: the port closes anyway.
void end_handshakes(int listening_socket);

}  // namespace qwen
