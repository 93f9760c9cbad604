// State dicts map to ranges of the file; everything else, payloads above all, is refused and never runs.
#include "weights/torch_bin.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "support/expect_error.h"
#include "support/scratch_folder.h"
#include "support/torch_file.h"
#include "weights/checkpoint.h"

namespace qwen {
namespace {

TorchFile read(const std::string& file) {
  return read_torch_bin(std::as_bytes(std::span(file)), "dir/pytorch_model.bin");
}

TorchTensor matrix() { return {.name = "w", .storage_size = 6, .size = {2, 3}, .stride = {3, 1}}; }
const std::string kStorage = "aaaabbbbccccddddeeeeffff";

std::string archive(const TorchTensor& tensor) { return torch_archive(pickle_state_dict({tensor}), {{"0", kStorage}}); }

TEST(TorchBin, FindsTensorsInTheirStorages) {
  TorchTensor row = matrix(), half = matrix();
  row.name = "row", row.offset = 3, row.size = {3}, row.stride = {1};
  half = {.name = "half",
          .storage_type = "HalfStorage",
          .storage_key = "1",
          .storage_size = 2,
          .size = {1, 2},
          .stride = {77, 1}};
  const std::string file = torch_archive(pickle_state_dict({matrix(), row, half}), {{"0", kStorage}, {"1", "ghij"}});
  const TorchFile torch = read(file);
  ASSERT_EQ(torch.tensors.size(), 3u);
  EXPECT_EQ(torch.tensors[0].name, "w");
  EXPECT_EQ(torch.tensors[0].shape, (Shape{2, 3}));
  EXPECT_EQ(file.substr(torch.tensors[0].offset, torch.tensors[0].size_bytes), kStorage);
  EXPECT_EQ(file.substr(torch.tensors[1].offset, torch.tensors[1].size_bytes), "ddddeeeeffff");
  EXPECT_EQ(torch.tensors[2].dtype, DType::kF16);
  EXPECT_EQ(file.substr(torch.tensors[2].offset, 4), "ghij") << "the stride of a dimension of 1 does not matter";
}

TEST(TorchBin, ReadsParametersAndModuleVersions) {
  // OrderedDict(w = Parameter(tensor)) with the attribute _metadata that module.state_dict() adds.
  const std::string pickle = std::string("\x80\x02") + "ccollections\nOrderedDict\n)R(" + pickle_text("w") +
                             "ctorch._utils\n_rebuild_parameter\n(" + pickle_tensor(matrix()) + "\x88" +
                             "ccollections\nOrderedDict\n)RtRu}" + pickle_text("_metadata") + "}sb.";
  const std::string file = torch_archive(pickle, {{"0", kStorage}});
  ASSERT_EQ(read(file).tensors.size(), 1u);
}

TEST(TorchBin, RefusesTensorsThatAreNoViewOfTheirBytes) {
  const auto refused = [](const TorchTensor& tensor, const char* words) {
    return fails_with([&] { read(archive(tensor)); }, ErrorCode::kBadData, words);
  };
  ASSERT_NO_THROW(read(archive(matrix())));
  TorchTensor t = matrix();
  t.stride = {1, 2};
  EXPECT_TRUE(refused(t, "not contiguous"));
  t = matrix(), t.stride = {0, 0};
  EXPECT_TRUE(refused(t, "not contiguous"));
  t = matrix(), t.offset = 1;
  EXPECT_TRUE(refused(t, "outside its storage"));
  t = matrix(), t.offset = INT64_MAX;
  EXPECT_TRUE(refused(t, "outside its storage"));
  t = matrix(), t.offset = -1;
  EXPECT_TRUE(refused(t, "storage_offset"));
  t = matrix(), t.size = {2, 4}, t.stride = {4, 1};
  EXPECT_TRUE(refused(t, "outside its storage"));
  t = matrix(), t.size = {2, -3};
  EXPECT_TRUE(refused(t, "size"));
  t = matrix(), t.size = {0, 3};
  EXPECT_TRUE(refused(t, "dimension of 0"));
  t = matrix(), t.size = {int64_t{1} << 62, 4, 1}, t.stride = {4, 1, 1};
  EXPECT_TRUE(refused(t, "2^64"));
  t = matrix(), t.size = std::vector<int64_t>(9, 1), t.stride = t.size;
  EXPECT_TRUE(refused(t, "two tuples"));
  t = matrix(), t.stride = {1};
  EXPECT_TRUE(refused(t, "two tuples"));
  t = matrix(), t.storage_size = 7;
  EXPECT_TRUE(refused(t, "24 bytes"));
  t = matrix(), t.storage_size = int64_t{1} << 62;  // times 4 bytes wraps to 0
  EXPECT_TRUE(refused(t, "24 bytes"));
  t = matrix(), t.storage_key = "9";
  EXPECT_TRUE(refused(t, "lacks its storage"));
  t = matrix(), t.storage_type = "DoubleStorage";
  EXPECT_TRUE(refused(t, "torch.DoubleStorage"));
}

TEST(TorchBin, RefusesOtherFiles) {
  const auto refused = [](const std::string& file, const char* words) {
    return fails_with([&] { read(file); }, ErrorCode::kBadData, words);
  };
  const std::string pickle = pickle_state_dict({matrix()});
  EXPECT_TRUE(refused(torch_archive(pickle, {{"0", kStorage}}, "big"), "big-endian"));
  EXPECT_TRUE(refused(ZipBuilder().add("archive/other", "x").build(), "no data.pkl"));
  EXPECT_TRUE(refused(ZipBuilder().add("a/data.pkl", pickle).add("b/data.pkl", pickle).build(), "two data.pkl"));
  EXPECT_TRUE(refused(torch_archive(pickle_state_dict({matrix(), matrix()}), {{"0", kStorage}}), "twice"));
  EXPECT_TRUE(refused(torch_archive(std::string("\x80\x02K\x01."), {}), "dictionary"));
  EXPECT_TRUE(refused(torch_archive(std::string("\x80\x02}K\x01K\x02s."), {}), "name is not text"));
  EXPECT_TRUE(refused(torch_archive("\x80\x02}" + pickle_text("epoch") + std::string("K\x02s."), {}),
                      "\"epoch\" is not a tensor"));
  EXPECT_TRUE(refused("", "not a zip archive"));
  EXPECT_TRUE(refused("hello", "not a zip archive"));
  // torch.save before 1.6: a pickled magic number first.
  EXPECT_TRUE(
      refused(std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15), "not a zip archive"));
}

// In Python, loading any of these files would run the command.
TEST(TorchBin, APayloadIsRefusedByNameAndNeverRuns) {
  const ScratchFolder scratch;
  const std::filesystem::path canary = scratch.path() / "canary";
  const std::string command = "touch " + canary.string();
  ASSERT_EQ(std::system(command.c_str()), 0);
  ASSERT_TRUE(std::filesystem::remove(canary)) << "the command does create the canary";

  const std::string payload = pickle_call("os", "system", command);
  const std::string inside_tensor_list = "\x80\x02}(" + pickle_text("w") + pickle_tensor(matrix()) + pickle_text("x") +
                                         payload.substr(2, payload.size() - 3) + "u.";
  for (const std::string& file : {torch_archive(payload, {}), torch_archive(inside_tensor_list, {{"0", kStorage}}),
                                  payload, "cos\nsystem\n(S'" + command + "'\ntR."}) {
    scratch.write("pytorch_model.bin", file);
    EXPECT_TRUE(fails_with([&] { Checkpoint::open(scratch.path()); }, ErrorCode::kBadData, "os.system"));
    EXPECT_FALSE(std::filesystem::exists(canary));
  }

  scratch.write("pytorch_model.bin", archive(matrix()));
  EXPECT_EQ(Checkpoint::open(scratch.path()).tensors().size(), 1u) << "a plain state dict of the same shape loads";
}

}  // namespace
}  // namespace qwen
