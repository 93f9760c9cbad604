// pytorch_model.bin as torch.save writes it since 1.6: a zip archive of stored entries, one pickle (data.pkl) that
// describes the tensors and one entry per storage. The pickle is interpreted by weights/pickle_reader, which executes
// nothing.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weights/tensor_info.h"

namespace qwen {

struct TorchFile {
  std::vector<TensorInfo> tensors;  // in the order of the state dict
  std::string_view pickle;          // the bytes of data.pkl, inside `file`
};

// Throws kBadData naming `path`: not such a file, a pickle that asks for anything but tensors, a tensor that is not
// contiguous, lies outside its storage or was saved on a big-endian machine.
TorchFile read_torch_bin(std::span<const std::byte> file, const std::string& path);

}  // namespace qwen
