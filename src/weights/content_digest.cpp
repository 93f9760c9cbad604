// See content_digest.h.
#include "weights/content_digest.h"

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "base/hash.h"
#include "base/thread_pool.h"

namespace qwen {

uint64_t tensor_digest(const Checkpoint& checkpoint, const TensorInfo& tensor) {
  const std::span<const std::byte> bytes = checkpoint.bytes(tensor);
  const uint64_t described = xxh64(str(tensor.name, '\0', dtype_name(tensor.dtype), to_string(tensor.shape)));
  return xxh64({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, described);
}

uint64_t content_digest(const Checkpoint& checkpoint, int threads, const ProgressFn& progress) {
  constexpr size_t kBatch = 16;  // between two words to `progress`
  const std::vector<TensorInfo>& tensors = checkpoint.tensors();
  ThreadPool pool(threads);
  std::atomic<uint64_t> sum{0};
  uint64_t done = 0;
  for (size_t first = 0; first < tensors.size(); first += kBatch) {
    const size_t count = std::min(kBatch, tensors.size() - first);
    pool.run(static_cast<int>(count), [&](int task, int) {
      const TensorInfo& tensor = tensors[first + static_cast<size_t>(task)];
      sum += tensor_digest(checkpoint, tensor);
      checkpoint.release(tensor.name);
    });
    for (size_t i = 0; i < count; ++i) done += tensors[first + i].size_bytes;
    if (progress) progress(done, checkpoint.total_bytes());
  }
  return sum;
}

}  // namespace qwen
