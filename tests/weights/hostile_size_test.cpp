// Files that are as large or as nested as their limits allow must neither exhaust memory nor the stack: each is opened
// in a child process whose peak resident memory is measured.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "base/error.h"
#include "support/scratch_folder.h"
#include "support/torch_file.h"
#include "weights/checkpoint.h"
#include "weights/pickle_reader.h"
#include "weights/safetensors.h"
#include "weights/shard_index.h"

namespace qwen {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMeasuresMemory = false;  // the shadow counts too
#else
constexpr bool kMeasuresMemory = true;
#endif
constexpr long kMaxResidentMiB = 300;

// Written piece by piece, so that this process (whose memory the child inherits) stays small.
class PieceWriter {
 public:
  explicit PieceWriter(const std::filesystem::path& path) : out_(path, std::ios::binary) {}
  void put(std::string_view text) {
    out_.write(text.data(), static_cast<std::streamsize>(text.size()));
    size_ += text.size();
  }
  void fill(char c, uint64_t up_to) {
    const std::string block(1 << 16, c);
    while (size_ < up_to) put(std::string_view(block).substr(0, std::min<uint64_t>(block.size(), up_to - size_)));
  }
  uint64_t size() const { return size_; }

 private:
  std::ofstream out_;
  uint64_t size_ = 0;
};

void expect_refused(const std::filesystem::path& folder, const char* what) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    try {
      Checkpoint::open(folder);
      ::_exit(0);
    } catch (const Error& error) {
      ::_exit(exit_status(error.code()));
    } catch (...) {
      ::_exit(99);
    }
  }
  int status = 0;
  struct rusage usage {};
  ASSERT_EQ(::wait4(child, &status, 0, &usage), child);
  EXPECT_TRUE(WIFEXITED(status)) << what << ": signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 65) << what;
  if (kMeasuresMemory) {
    EXPECT_LT(usage.ru_maxrss / 1024, kMaxResidentMiB) << what;
  }
}

void expect_header_refused(const char* what, uint64_t claimed, const std::function<void(PieceWriter&)>& write) {
  const ScratchFolder scratch;
  {
    PieceWriter file(scratch.path() / "model.safetensors");
    file.put(little_endian(claimed, 8));
    write(file);
  }
  expect_refused(scratch.path(), what);
}

TEST(HostileSize, SafetensorsHeaders) {
  const uint64_t limit = kMaxSafetensorsHeader;
  expect_header_refused("100 MB of spaces", 100'000'000, [](PieceWriter& file) { file.fill(' ', 100'000'008); });
  expect_header_refused("a name as long as the header", limit, [&](PieceWriter& file) {
    file.put("{\"");
    file.fill('a', limit + 8);
  });
  expect_header_refused("metadata as long as the header", limit, [&](PieceWriter& file) {
    file.put("{\"__metadata__\":{\"a\":\"");
    file.fill('a', limit + 8 - 3);
    file.put("\"}}x");
  });
  expect_header_refused("nested arrays", limit, [&](PieceWriter& file) {
    file.put("{\"a\":{\"shape\":");
    file.fill('[', limit + 8);
  });
  expect_header_refused("a long shape", limit, [&](PieceWriter& file) {
    file.put("{\"a\":{\"shape\":[");
    while (file.size() < limit + 8) file.put("1,1,1,1,1,1,1,1,");
  });
  expect_header_refused("1,000,000 tensors", 75'000'000, [](PieceWriter& file) {
    file.put("{");
    for (int i = 0; i < 1'000'000; ++i)
      file.put(str("\"", i, R"(":{"dtype":"U8","shape":[1],"data_offsets":[)", i, ",", i + 1, "]},"));
    file.fill(' ', 75'000'008);
  });
  expect_header_refused("as many tensors as fit the header", limit, [&](PieceWriter& file) {
    file.put("{");
    for (int i = 0; file.size() < limit; ++i)
      file.put(str("\"", i, R"(":{"dtype":"U8","shape":[],"data_offsets":[)", i, ",", i + 1, "]},"));
  });
}

TEST(HostileSize, Indexes) {
  const ScratchFolder scratch;
  const auto path = scratch.path() / "model.safetensors.index.json";
  {
    PieceWriter file(path);
    file.put("{\"weight_map\":{\"x\":\"s.safetensors\"");
    for (int i = 0; file.size() < kMaxShardIndexBytes - 100; ++i) file.put(str(",\"", i, "\":\"s.safetensors\""));
    file.put("}}");
  }
  expect_refused(scratch.path(), "as many tensors as fit the index");
  {
    PieceWriter file(path);
    file.put("{\"metadata\":");
    file.fill('[', kMaxShardIndexBytes);
  }
  expect_refused(scratch.path(), "nested arrays");
}

void expect_pickle_refused(const char* what, const std::function<void(PieceWriter&)>& write) {
  const ScratchFolder scratch;
  {
    PieceWriter file(scratch.path() / "pytorch_model.bin");
    file.put(std::string("\x80\x02"));
    write(file);
  }
  expect_refused(scratch.path(), what);
}

TEST(HostileSize, Pickles) {
  const uint64_t limit = kMaxPickleBytes;
  expect_pickle_refused("nested tuples", [&](PieceWriter& file) {
    file.put("N");
    file.fill('\x85', limit);
  });
  expect_pickle_refused("marks", [&](PieceWriter& file) { file.fill('(', limit); });
  expect_pickle_refused("dictionaries", [&](PieceWriter& file) { file.fill('}', limit); });
  expect_pickle_refused("a list of itself, many times", [&](PieceWriter& file) {
    file.put(std::string("]q\0", 3));
    while (file.size() < limit - 3) file.put(std::string("h\0a", 3));
  });
  expect_pickle_refused("wide tuples of one value", [&](PieceWriter& file) {
    file.put(std::string("Nq\0", 3));
    while (file.size() < limit - 4002) {
      file.put("(");
      for (int i = 0; i < 2000; ++i) file.put(std::string("h\0", 2));
      file.put("t");
    }
  });
  expect_pickle_refused("a far memo slot", [&](PieceWriter& file) {
    file.put("Nr" + little_endian(kMaxPickleValues - 1, 4));
    file.fill('N', limit);
  });
}

}  // namespace
}  // namespace qwen
