// The chunked transfer coding, read so that what it says does not depend on how the bytes were cut into reads. Stricter
// than RFC 9112 7.1 where that leaves two readings: sizes are 1 to 16 hex digits with nothing around them; lines end in
// CRLF and hold no control character but tab; quotes close in their line; a trailer cannot be a length. Extensions and
// trailers are skipped, and together take no more than `max_extra`. (Boost.Beast's own reader lets a quote run over the
// line's end and takes such a chunk off its body limit again with each read.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/api/errors.h"

namespace qwen {

class ChunkedBody {
 public:
  ChunkedBody(size_t max_body, size_t max_extra) : max_body_(max_body), max_extra_(max_extra) {}

  struct Taken {
    size_t bytes = 0;  // all of them unless the body ends before
    std::optional<ApiError> refused = {};
  };
  // Takes the front of `bytes` and adds the data in it to `body`, which holds the data so far.
  Taken take(std::string_view bytes, std::string& body);

  bool complete() const { return at_ == At::kEnd; }

 private:
  enum class At { kSize, kData, kDataEnd, kTrailer, kEnd };

  std::optional<ApiError> take_character(char c, size_t body_size);
  std::optional<ApiError> end_line(size_t body_size);
  std::optional<ApiError> read_size(size_t body_size);

  const size_t max_body_, max_extra_;
  At at_ = At::kSize;
  std::string line_;   // the one being read
  uint64_t left_ = 0;  // of the chunk's data
  size_t extra_ = 0;   // bytes of extensions and trailers
};

}  // namespace qwen
