// A pytorch_model.bin: the input as it stands, and as the pickle of an archive with two storages. Every tensor that
// comes out is a whole number of elements inside one storage of the file.
#include <set>

#include "base/checked_math.h"
#include "fuzz.h"
#include "support/torch_file.h"
#include "weights/torch_bin.h"
#include "weights/zip_reader.h"

namespace qwen::fuzz {
namespace {

void check_file(std::string_view text) {
  const auto file = std::as_bytes(std::span(text.data(), text.size()));
  TorchFile found;
  if (!accepts(ErrorCode::kBadData, [&] { found = read_torch_bin(file, "pytorch_model.bin"); })) return;
  const ZipDirectory zip(file, "pytorch_model.bin");
  std::set<std::string> names;
  for (const TensorInfo& tensor : found.tensors) {
    FUZZ_CHECK(names.insert(tensor.name).second);
    std::optional<uint64_t> bytes = dtype_size(tensor.dtype);
    for (int i = 0; i < tensor.shape.rank(); ++i) {
      FUZZ_CHECK(tensor.shape[i] > 0);
      bytes = bytes ? checked_mul(*bytes, static_cast<uint64_t>(tensor.shape[i])) : bytes;
    }
    FUZZ_CHECK(bytes == tensor.size_bytes);
    bool inside = false;
    for (const ZipEntry& entry : zip.entries())
      inside = inside || (tensor.offset >= entry.offset && tensor.size_bytes <= entry.size &&
                          tensor.offset - entry.offset <= entry.size - tensor.size_bytes);
    FUZZ_CHECK(inside);
  }
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = qwen::fuzz::text_of(data, size);
  qwen::fuzz::check_file(text);
  qwen::fuzz::check_file(qwen::torch_archive(text, {{"0", std::string(64, 'a')}, {"1", std::string(16, 'b')}}));
  return 0;
}
