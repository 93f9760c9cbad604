#include "server/http/port_sharing.h"

#include <linux/filter.h>
#include <sys/socket.h>

namespace qwen {

void end_handshakes(int listening_socket) {
  // Closing a listening socket resets the connections that wait in its queue, and a request that was already sent on
  // one must not be repeated by a proxy. So first nobody new is let in; the filter sees TCP segments.
  constexpr unsigned kFlags = 13, kSyn = 0x02, kAck = 0x10;
  constexpr unsigned kDrop = 0, kPass = 0xffffffff;
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kFlags),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, kSyn | kAck),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kSyn, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, kDrop),
      BPF_STMT(BPF_RET | BPF_K, kPass),
  };
  const sock_fprog filter{sizeof program / sizeof program[0], program};
  [[maybe_unused]] const int done =
      ::setsockopt(listening_socket, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}

}  // namespace qwen
