#include "server/workers/mailboxes.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace qwen {

Mailboxes::Mailboxes(int workers) {
  raise_descriptor_limit();
  for (int i = 0; i < workers; ++i) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
      throw Error(ErrorCode::kOs, str("cannot make the sockets of ", workers,
                                      " worker processes, two for each: ", std::strerror(errno)));
    reading_.emplace_back(ends[0]);
    writing_.emplace_back(ends[1]);
  }
}

Mailboxes::Mailboxes(std::span<const int> inherited) {
  QWEN_CHECK(!inherited.empty());
  reading_.emplace_back(inherited.front());
  for (const int descriptor : inherited.subspan(1)) writing_.emplace_back(descriptor);
}

std::vector<int> Mailboxes::descriptors(int place) const {
  std::vector<int> all{reading_.at(static_cast<size_t>(place)).get()};
  for (const FileDescriptor& each : writing_) all.push_back(each.get());
  return all;
}

bool Mailboxes::send(int place, std::string_view message) const {
  const int to = writing_.at(static_cast<size_t>(place)).get();
  return ::send(to, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) ==
         static_cast<ssize_t>(message.size());
}

}  // namespace qwen
