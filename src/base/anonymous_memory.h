// Zero-filled memory of this process, committed page by page when touched. What is large is aligned to 2 MiB, in
// huge pages where the kernel grants them (6-10 % more read bandwidth, measured in bench/), and spread over the memory
// of all sockets that this process may use.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace qwen {

// Aligned to 64 bytes, 2 MiB and more to 2 MiB; `bytes` rounded up to 64, nothing to 64 bytes. Errors: kOs, naming
// `what` and the size.
std::shared_ptr<std::byte> allocate_anonymous_memory(size_t bytes, std::string_view what);

}  // namespace qwen
