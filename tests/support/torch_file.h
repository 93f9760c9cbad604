// Builds pytorch_model.bin files byte by byte, right and wrong ones.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qwen {

// A zip archive of stored entries.
class ZipBuilder {
 public:
  ZipBuilder& add(std::string_view name, std::string_view data);
  // With ZIP64 records, all sizes and offsets in them.
  ZipBuilder& zip64(bool on) { return zip64_ = on, *this; }
  ZipBuilder& method(uint16_t method) { return method_ = method, *this; }  // 0 = stored, 8 = deflated
  ZipBuilder& flags(uint16_t flags) { return flags_ = flags, *this; }
  std::string build() const;

 private:
  struct Entry {
    std::string name, data;
  };
  std::vector<Entry> entries_;
  bool zip64_ = false;
  uint16_t method_ = 0, flags_ = 0;
};

std::string little_endian(uint64_t value, int num_bytes);

// Opcodes of protocol 2 for the parts of a state dict.
std::string pickle_text(std::string_view text);
std::string pickle_int(int64_t value);
std::string pickle_tuple(const std::vector<int64_t>& values);
struct TorchTensor {
  std::string name;
  std::string storage_type = "FloatStorage", storage_key = "0";
  int64_t storage_size = 0, offset = 0;
  std::vector<int64_t> size, stride;
};
std::string pickle_tensor(const TorchTensor& tensor);
std::string pickle_state_dict(const std::vector<TorchTensor>& tensors);
// What pickle.dumps writes for an object whose reduction is module.function(argument).
std::string pickle_call(std::string_view module, std::string_view function, std::string_view argument);

// "archive/data.pkl", version, byteorder, and "archive/data/<key>" of `storage_bytes` for every tensor's storage.
std::string torch_archive(std::string_view pickle, const std::vector<std::pair<std::string, std::string>>& storages,
                          std::string_view byteorder = "little");

}  // namespace qwen
