// The directory of a zip archive: entries lie in the file, apart from each other, and each is found by its name.
#include <algorithm>

#include "fuzz.h"
#include "weights/zip_reader.h"

namespace qwen::fuzz {
namespace {

void check_zip(std::span<const std::byte> file) {
  std::vector<ZipEntry> entries;
  if (!accepts(ErrorCode::kBadData, [&] {
        const ZipDirectory zip(file, "model.bin");
        entries = zip.entries();
        for (const ZipEntry& entry : entries) {
          const ZipEntry* found = zip.find(entry.name);
          FUZZ_CHECK(found != nullptr && found->offset == entry.offset && found->size == entry.size);
        }
      }))
    return;
  std::sort(entries.begin(), entries.end(), [](const ZipEntry& a, const ZipEntry& b) { return a.offset < b.offset; });
  uint64_t end = 0;
  for (const ZipEntry& entry : entries) {
    FUZZ_CHECK(entry.offset >= end && entry.size <= file.size() && entry.offset <= file.size() - entry.size);
    end = entry.offset + entry.size;
  }
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  qwen::fuzz::check_zip(std::as_bytes(std::span(data, size)));
  return 0;
}
