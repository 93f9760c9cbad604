// The fingerprint that tells two ways to compute with one model apart.
#include "commands/load_service.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace qwen {
namespace {

TEST(SystemFingerprint, ChangesWithAllThatChangesTheAnswers) {
  ModelInfo plain;
  plain.device = "cpu";
  plain.kernels = "avx2";
  plain.kv_cache_dtype = "bfloat16";
  constexpr uint64_t kFiles = 0x123456789abcdef0;
  std::set<std::string> seen = {system_fingerprint(kFiles, plain, {}), system_fingerprint(kFiles + 1, plain, {}),
                                system_fingerprint(kFiles, plain, {QuantFormat::Kind::kInt8})};
  const std::function<void(ModelInfo&)> changes[] = {
      [](ModelInfo& info) { info.device = "cuda:0"; },
      [](ModelInfo& info) { info.kernels = "reference"; },
      [](ModelInfo& info) { info.kv_cache_dtype = "int8"; },
      [](ModelInfo& info) { info.quantization = "int4"; },
  };
  for (const auto& change : changes) {
    ModelInfo info = plain;
    change(info);
    seen.insert(system_fingerprint(kFiles, info, {}));
  }
  EXPECT_EQ(seen.size(), 3 + std::size(changes));
}

TEST(SystemFingerprint, IsSixteenDigitsAndTheSameForTheSame) {
  ModelInfo named, other;
  other.name = "another name";
  EXPECT_EQ(system_fingerprint(7, named, {}), system_fingerprint(7, other, {}));
  EXPECT_EQ(system_fingerprint(7, named, {}).size(), 16u);
}

}  // namespace
}  // namespace qwen
