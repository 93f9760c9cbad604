// A file of packed weights: the input as it stands, and as changes to a good file, whose digests are then made to fit,
// as they would be if the writer had meant it. What is accepted gives every entry's own bytes from inside the file,
// read or mapped alike.
#include <array>
#include <cstring>
#include <map>

#include "base/checked_math.h"
#include "fuzz.h"
#include "support/scratch_folder.h"
#include "weights/packed_file.h"

namespace qwen::fuzz {
namespace {

constexpr std::string_view kKey = "key";
constexpr size_t kDataPages = 4;

std::string_view bytes_of(const PackedFileHeader& header) {
  return {reinterpret_cast<const char*>(&header), sizeof header};
}

template <typename T>
void append(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Every page tells where it is.
std::string data_pages() {
  std::string data(kDataPages * kPackedAlignment, '\0');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i / kPackedAlignment + i);
  return data;
}

// One entry for each byte of `pages`: that many bytes more than 1 from the next page on.
std::string table_of(std::string_view pages, const std::string& data) {
  std::string table;
  for (size_t i = 0; i < pages.size(); ++i) {
    const uint64_t size = 1 + static_cast<uint8_t>(pages[i]), offset = (1 + i) * kPackedAlignment;
    append(table, PackedEntryHead{offset, size, 2, 1});
    table += {'w', static_cast<char>('0' + i), 'n'};
    append(table, xxh64(std::string_view(data).substr(i * kPackedAlignment, size)));
  }
  return table;
}

PackedFileHeader header_of(uint32_t num_entries, const std::string& table) {
  PackedFileHeader header = {};
  std::memcpy(header.magic, kPackedMagic, sizeof header.magic);
  header.version = kPackedFileVersion;
  header.num_entries = num_entries;
  header.data_end = (1 + kDataPages) * kPackedAlignment;
  header.table_bytes = table.size();
  std::memcpy(header.key, kKey.data(), kKey.size());
  return header;
}

// Pairs of a place and a byte; the place's lowest bit tells table and header apart.
void change(std::string_view changes, std::string& table, std::string& header) {
  for (; changes.size() >= 3; changes.remove_prefix(3)) {
    const size_t place = static_cast<uint8_t>(changes[0]) | static_cast<size_t>(static_cast<uint8_t>(changes[1])) << 8;
    std::string& part = place % 2 == 0 || table.empty() ? header : table;
    const size_t most = &part == &header ? offsetof(PackedFileHeader, key) + 8 : part.size();
    part[place / 2 % most] = changes[2];
  }
}

std::optional<PackedFile> open(const std::filesystem::path& path, PackedAccess access) {
  std::string problem;
  auto file = PackedFile::open(
      path, kKey, [](const PackedSource&) { return true; }, {.access = access, .max_bytes = 1 << 20, .threads = 1}, {},
      problem);
  FUZZ_CHECK(file.has_value() == problem.empty());
  if (!file) check_message(problem);
  return file;
}

struct Spelled {
  std::string_view note, bytes;
};

// The entries as the table spells them, without a look at what they say.
std::map<std::string, Spelled> entries_of(std::string_view file) {
  PackedFileHeader header;
  std::memcpy(&header, file.data(), sizeof header);
  std::map<std::string, Spelled> entries;
  std::string_view table = file.substr(header.data_end);
  for (uint32_t i = 0; i < header.num_entries; ++i) {
    PackedEntryHead head;
    std::memcpy(&head, table.data(), sizeof head);
    const size_t texts = size_t{head.name_bytes} + head.note_bytes;
    entries.emplace(table.substr(sizeof head, head.name_bytes),
                    Spelled{table.substr(sizeof head + head.name_bytes, head.note_bytes),
                            file.substr(head.offset, head.size_bytes)});
    table.remove_prefix(sizeof head + texts + packed_pieces(head.size_bytes) * sizeof(uint64_t));
  }
  return entries;
}

void check_file(const std::string& content) {
  static const ScratchFolder folder;
  const std::filesystem::path path = folder.write("weights.packed", content);
  const auto copied = open(path, PackedAccess::kCopy), mapped = open(path, PackedAccess::kMap);
  FUZZ_CHECK(copied.has_value() == mapped.has_value());
  if (!copied) return;
  FUZZ_CHECK(copied->size_bytes() == content.size() && mapped->size_bytes() == content.size());
  for (const auto& [name, spelled] : entries_of(content)) {
    for (const PackedFile* file : {&*copied, &*mapped}) {
      const PackedFile::Entry* const entry = file->find(name);
      FUZZ_CHECK(entry != nullptr && entry->note == spelled.note && entry->bytes.size() == spelled.bytes.size());
      FUZZ_CHECK(std::memcmp(entry->bytes.data(), spelled.bytes.data(), spelled.bytes.size()) == 0);
      FUZZ_CHECK(reinterpret_cast<uintptr_t>(entry->bytes.data()) % kPackedAlignment == 0);
    }
  }
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace qwen;
  using namespace qwen::fuzz;
  const std::string_view text = text_of(bytes, size);
  check_file(std::string(text));

  static const std::string data = data_pages();
  const auto input = parts(text, 2);
  const std::string_view pages = input[0].substr(0, kDataPages);
  std::string table = table_of(pages, data);
  std::string header(bytes_of(header_of(static_cast<uint32_t>(pages.size()), table)));
  change(input[1], table, header);
  const uint64_t table_digest = xxh64(table);
  std::memcpy(header.data() + offsetof(PackedFileHeader, table_digest), &table_digest, sizeof table_digest);
  const uint64_t digest = xxh64(std::string_view(header).substr(0, offsetof(PackedFileHeader, digest)));
  std::memcpy(header.data() + offsetof(PackedFileHeader, digest), &digest, sizeof digest);
  check_file(header + data + table);
  return 0;
}
