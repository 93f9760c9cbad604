// Writes a file of packed weights (packed_file_layout.h) while they are made. It appears under its name whole and on
// the disk, or not at all: until finish() the bytes are in "<name>.partial", which a destroyed writer removes and which
// whoever comes after a killed one takes over, or replaces where it is not this user's own. The partial file is locked,
// so that of several processes one writes. Until it is whole nobody else may read it. Nothing throws: a file that
// cannot be written is no error, its reason is in problem().
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/file_descriptor.h"
#include "weights/packed_file_layout.h"

namespace qwen {

// Who may read the finished file: no more than may read the weights that it was made of.
struct PackedFileReaders {
  uint32_t mode = 0644;           // of S_IRUSR, S_IWUSR, S_IRGRP and S_IROTH
  std::optional<uint32_t> group;  // that S_IRGRP is for; nothing: this process's
};

class PackedFileWriter {
 public:
  // Begins the file; `key` is what PackedFile::open is to find. Disk space for `expected_bytes`, about, is asked for at
  // once.
  PackedFileWriter(std::filesystem::path path, std::string_view key, uint64_t expected_bytes,
                   const PackedFileReaders& readers = {});
  ~PackedFileWriter();
  PackedFileWriter(const PackedFileWriter&) = delete;
  PackedFileWriter& operator=(const PackedFileWriter&) = delete;

  // Names differ, bytes are not empty; `note` is the caller's.
  void add(std::string_view name, std::span<const std::byte> bytes, std::string_view note = {});
  // The entries are complete: to the disk, then under its name.
  void finish(const PackedSource& source);

  // Why the file cannot be written, in words that follow its path; empty as long as it can.
  const std::string& problem() const { return problem_; }
  bool other_process() const { return other_process_; }  // the problem is that another process writes it
  const std::filesystem::path& path() const { return path_; }

 private:
  bool lock();
  FileDescriptor open_partial();
  bool named(int fd) const;  // whether the partial file is still under its name
  void share();
  void write_at(uint64_t offset, std::span<const std::byte> bytes);
  void fail(std::string_view action, int reason);
  void close();

  const std::filesystem::path path_, partial_path_;
  std::string key_, table_, problem_;
  uint32_t num_entries_ = 0;
  uint64_t end_ = 0;  // of the data so far
  bool other_process_ = false;
  const PackedFileReaders readers_;
  FileDescriptor file_;  // the locked partial file; not valid after a failure
};

}  // namespace qwen
