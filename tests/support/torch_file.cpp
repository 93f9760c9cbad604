// Written from the format descriptions, not with the code under test.
#include "support/torch_file.h"

#include "base/error.h"

namespace qwen {

std::string little_endian(uint64_t value, int num_bytes) {
  std::string bytes;
  for (int i = 0; i < num_bytes; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

ZipBuilder& ZipBuilder::add(std::string_view name, std::string_view data) {
  entries_.push_back({std::string(name), std::string(data)});
  return *this;
}

std::string ZipBuilder::build() const {
  const auto le = little_endian;
  std::string body, central;
  for (const Entry& entry : entries_) {
    const uint64_t offset = body.size(), size = entry.data.size();
    const std::string common =
        le(20, 2) + le(flags_, 2) + le(method_, 2) + le(0, 4) + le(0, 4);  // time and CRC are not read
    const std::string size32 = le(zip64_ ? 0xffffffff : size, 4);
    const std::string extra64 = zip64_ ? le(1, 2) + le(24, 2) + le(size, 8) + le(size, 8) + le(offset, 8) : "";
    body += le(0x04034b50, 4) + common + size32 + size32 + le(entry.name.size(), 2) + le(extra64.size(), 2) +
            entry.name + extra64 + entry.data;
    central += le(0x02014b50, 4) + le(20, 2) + common + size32 + size32 + le(entry.name.size(), 2) +
               le(extra64.size(), 2) + le(0, 2) + le(0, 2) + le(0, 2) + le(0, 4) + le(zip64_ ? 0xffffffff : offset, 4) +
               entry.name + extra64;
  }
  const uint64_t count = entries_.size(), start = body.size();
  std::string end;
  if (zip64_) {
    end += le(0x06064b50, 4) + le(44, 8) + le(45, 2) + le(45, 2) + le(0, 4) + le(0, 4) + le(count, 8) + le(count, 8) +
           le(central.size(), 8) + le(start, 8);
    end += le(0x07064b50, 4) + le(0, 4) + le(start + central.size(), 8) + le(1, 4);
  }
  end += le(0x06054b50, 4) + le(0, 2) + le(0, 2) + le(zip64_ ? 0xffff : count, 2) + le(zip64_ ? 0xffff : count, 2) +
         le(zip64_ ? 0xffffffff : central.size(), 4) + le(zip64_ ? 0xffffffff : start, 4) + le(0, 2);
  return body + central + end;
}

std::string pickle_text(std::string_view text) { return "X" + little_endian(text.size(), 4) + std::string(text); }

std::string pickle_int(int64_t value) {
  return std::string("\x8a\x08", 2) + little_endian(static_cast<uint64_t>(value), 8);
}

std::string pickle_tuple(const std::vector<int64_t>& values) {
  std::string text = "(";
  for (const int64_t value : values) text += pickle_int(value);
  return text + "t";
}

std::string pickle_tensor(const TorchTensor& t) {
  const std::string storage = "(" + pickle_text("storage") + "ctorch\n" + t.storage_type + "\n" +
                              pickle_text(t.storage_key) + pickle_text("cpu") + pickle_int(t.storage_size) + "tQ";
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + pickle_int(t.offset) + pickle_tuple(t.size) +
         pickle_tuple(t.stride) + "\x89" + "ccollections\nOrderedDict\n)RtR";
}

std::string pickle_state_dict(const std::vector<TorchTensor>& tensors) {
  std::string text = "\x80\x02}(";
  for (const TorchTensor& tensor : tensors) text += pickle_text(tensor.name) + pickle_tensor(tensor);
  return text + "u.";
}

std::string pickle_call(std::string_view module, std::string_view function, std::string_view argument) {
  return str("\x80\x02", "c", module, "\n", function, "\n", pickle_text(argument), "\x85", "R.");
}

std::string torch_archive(std::string_view pickle, const std::vector<std::pair<std::string, std::string>>& storages,
                          std::string_view byteorder) {
  ZipBuilder zip;
  zip.add("archive/data.pkl", pickle).add("archive/byteorder", byteorder).add("archive/version", "3\n");
  for (const auto& [key, bytes] : storages) zip.add("archive/data/" + key, bytes);
  return zip.build();
}

}  // namespace qwen
