// The layout of a file of packed weights, for the two that read and write it:
//
//     PackedFileHeader                               4 KiB; written last, so that an unfinished file has none
//     the entries' bytes                             each from a multiple of kPackedAlignment on
//     the table: num_entries times                   from data_end to the file's end
//         PackedEntryHead, its name, its note, one xxh64 for every kPackedPiece bytes
//
// Numbers are the host's (a big-endian machine reads another version). Every byte that is ever used is under a digest:
// the header under its own, the table under the header's, an entry's bytes under the table's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qwen {

constexpr char kPackedMagic[8] = {'Q', 'W', 'E', 'N', 'P', 'A', 'C', 'K'};
constexpr uint32_t kPackedFileVersion = 3;
constexpr uint64_t kPackedAlignment = 4096;     // a page: an entry can be mapped
constexpr uint64_t kPackedPiece = 1024 * 1024;  // read and checked at once: stays in the L2 cache
constexpr uint64_t kMaxPackedTable = 64 * 1024 * 1024;
constexpr uint32_t kMaxPackedName = 4096;  // of a name; of a note

// Of which weights a file was made.
struct PackedSource {
  uint64_t stamp = 0;   // of the files' sizes and times: Checkpoint::stamp
  uint64_t digest = 0;  // of all numbers in them: weights/content_digest.h
};

struct PackedFileHeader {
  char magic[8];
  uint32_t version;
  uint32_t num_entries;
  uint64_t data_end;  // file offset
  uint64_t table_bytes;
  uint64_t table_digest;
  PackedSource source;
  char key[4032];   // text, padded with zeros; the last byte is one
  uint64_t digest;  // of everything above
};
static_assert(sizeof(PackedFileHeader) == kPackedAlignment && offsetof(PackedFileHeader, digest) == 4088);

struct PackedEntryHead {
  uint64_t offset;  // in the file
  uint64_t size_bytes;
  uint32_t name_bytes;
  uint32_t note_bytes;
};
static_assert(sizeof(PackedEntryHead) == 24);

constexpr uint64_t packed_pieces(uint64_t bytes) { return bytes / kPackedPiece + (bytes % kPackedPiece != 0); }

}  // namespace qwen
