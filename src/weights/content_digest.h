// A digest of all numbers of a checkpoint, whatever the times and owners of its files are. Tensors count in any order,
// so that it can be made while they are read for something else.
#pragma once

#include <cstdint>

#include "base/progress.h"
#include "weights/checkpoint.h"

namespace qwen {

// Of one tensor's name, type, shape and bytes. The sum over all tensors (modulo 2^64) is the checkpoint's.
uint64_t tensor_digest(const Checkpoint& checkpoint, const TensorInfo& tensor);

// Reads every byte, with `threads` threads, and gives the pages back; views of the tensors are invalid afterwards.
// `progress` hears of the bytes; what it throws ends the reading.
uint64_t content_digest(const Checkpoint& checkpoint, int threads, const ProgressFn& progress);

}  // namespace qwen
