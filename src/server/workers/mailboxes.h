// A mailbox for each worker process: a pair of datagram sockets that the supervisor makes before there are processes. A
// worker reads its own and writes to all others'. The supervisor keeps both ends of each, so that a worker that is
// started again has the mailbox of its place. Invariant: nobody ever waits; what a full mailbox does not take is lost,
// and whoever sent it is told.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/file_descriptor.h"

namespace qwen {

class Mailboxes {
 public:
  // The supervisor's. Errors: kOs.
  explicit Mailboxes(int workers);
  // A worker's: the descriptors that its supervisor gave it, in the order of descriptors().
  explicit Mailboxes(std::span<const int> inherited);

  // What the worker of that place needs: where it reads, then where it writes, by place. Of the supervisor.
  std::vector<int> descriptors(int place) const;
  static int descriptor_count(int workers) { return 1 + workers; }

  int reading() const { return reading_.front().get(); }  // a worker's own
  bool send(int place, std::string_view message) const;   // any thread; false: it was not taken

 private:
  std::vector<FileDescriptor> reading_, writing_;  // by place; a worker has one to read
};

}  // namespace qwen
