// Every instruction set's kernels of GPTQ and AWQ weights against the scalar ones, which are the specification: the
// same bits.
#include <numeric>

#include "backend/backend_fixture.h"
#include "backend/cpu/grouped_weights.h"
#include "support/stored_groups.h"

namespace qwen {
namespace {

using Order = StoredGroups::Order;

class GroupedKernelsTest : public testing::TestWithParam<KernelSet> {
 protected:
  const GroupedKernels& kernels() const { return GetParam().integer->grouped; }
  std::vector<float> random(int n, float scale = 1.0f) {
    std::normal_distribution<float> normal;
    std::vector<float> values(static_cast<size_t>(n));
    for (float& v : values) v = scale * normal(random_);  // which may be 0
    return values;
  }
  std::mt19937 random_{11};
};

const GroupedKernels& scalar() { return kScalarIntegerKernels.grouped; }

// Blocks whose bytes a test compares.
std::vector<GroupedActivations> quantized(const GroupedKernels& kernels, const std::vector<float>& row,
                                          const std::vector<int32_t>& order = {}) {
  const int cols = static_cast<int>(row.size());
  std::vector<GroupedActivations> blocks(static_cast<size_t>(grouped_blocks(cols)));
  kernels.quantize_row({row.data(), order.empty() ? nullptr : order.data(), blocks.data(), cols});
  return blocks;
}

bool equal_bytes(const std::vector<GroupedActivations>& a, const std::vector<GroupedActivations>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof a[0]) == 0;
}

TEST_P(GroupedKernelsTest, RowsAreQuantizedAsTheScalarKernelDoes) {
  for (const int cols : {1, 2, 7, 31, 32, 33, 64, 96, 127, 128, 300, 2560}) {
    std::vector<int32_t> order(static_cast<size_t>(cols));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random_);
    for (const float scale : {1.0f, 1e-31f, 1e-29f, 1e-20f, 1e30f, 1e34f, 0.0f}) {
      std::vector<float> row = random(cols, scale);
      row[static_cast<size_t>(cols / 2)] *= 1000;  // an outlier
      EXPECT_TRUE(equal_bytes(quantized(kernels(), row), quantized(scalar(), row))) << cols << " " << scale;
      std::vector<float> ordered;
      for (const int32_t i : order) ordered.push_back(row[static_cast<size_t>(i)]);
      EXPECT_TRUE(equal_bytes(quantized(kernels(), row, order), quantized(kernels(), ordered))) << cols;
      EXPECT_TRUE(equal_bytes(quantized(scalar(), row, order), quantized(scalar(), ordered))) << cols;
    }
  }
}

// What rounding may cost: the error of normal values relative to their length, where scale = max / 127 leaves 0.0047.
TEST_P(GroupedKernelsTest, RowsStayCloseToWhatTheyWere) {
  for (const float size : {1e-20f, 1.0f, 1e30f}) {
    const std::vector<float> row = random(32 * 512, size);
    const auto blocks = quantized(kernels(), row);
    double error = 0, square = 0;
    for (size_t i = 0; i < row.size(); ++i) {
      const GroupedActivations& block = blocks[i / kGroupedBlock];
      const double v = row[i] / size;
      error += std::pow(v - double{block.scale} * block.q[i % kGroupedBlock] / size, 2);
      square += v * v;
    }
    EXPECT_LT(std::sqrt(error / square), 0.0042) << size;
    for (const GroupedActivations& block : blocks) {
      int sum = 0;
      for (const int8_t q : block.q) sum += q;
      EXPECT_EQ(block.start, -8 * sum);
      EXPECT_EQ(block.sum, block.scale * static_cast<float>(sum));
    }
  }
}

TEST_P(GroupedKernelsTest, ANanOrInfinityPoisonsItsBlockAlone) {
  for (const float poison : {INFINITY, -INFINITY, std::nanf("")}) {
    std::vector<float> row = random(128);
    row[kGroupedBlock + 8] = poison;
    const auto blocks = quantized(kernels(), row);
    EXPECT_TRUE(std::isnan(blocks[1].scale) && std::isnan(blocks[1].sum));
    EXPECT_EQ(blocks[1].start, 0);
    for (size_t i = 0; i < blocks.size(); ++i) EXPECT_EQ(std::isfinite(blocks[i].scale), i != 1);
  }
}

TEST_P(GroupedKernelsTest, ProductsAreTheScalarKernelsToTheBit) {
  ThreadPool pool(2);
  std::uniform_int_distribution<int> pick_rows(1, 40), pick_words(1, 120), pick_columns(1, kPanelRows);
  const int sizes[] = {16, 32, 48, 64, 128, 1 << 20};
  for (int round = 0; round < 60; ++round) {
    const int rows = round == 0 ? 300 : pick_rows(random_), cols = round == 1 ? 9728 : 8 * pick_words(random_);
    const int columns = round % 2 ? kPanelRows : pick_columns(random_), bits = round % 3 ? 4 : 8;
    const StoredGroups groups(kPanelRows, cols, sizes[round % 6], bits, Order::kPlain, static_cast<uint32_t>(round),
                              round % 4 == 0);
    const StoredGptq stored(groups, 1, false, round % 5 ? DType::kF16 : DType::kF32);
    const std::optional<QuantFormat> format = grouped_format({&stored.matrix, 1});
    ASSERT_TRUE(format) << cols << " in groups of " << groups.group;
    EXPECT_EQ(format->zero_points, round % 4 != 0);
    EXPECT_EQ(format->wide_scales, round % 5 == 0);
    const Matrix packed = pack_grouped_weights({&stored.matrix, 1}, *format, pool);
    const size_t stride = grouped_row_bytes(cols);
    std::vector<float> x_memory(static_cast<size_t>(rows) * stride / sizeof(float));
    char* const x = reinterpret_cast<char*>(x_memory.data());
    for (int row = 0; row < rows; ++row) {
      auto* const out = reinterpret_cast<GroupedActivations*>(x + static_cast<size_t>(row) * stride);
      scalar().quantize_row({random(cols).data(), nullptr, out, cols});
    }
    const std::vector<float> bias = random(columns);
    const auto product = [&](const GroupedKernels& table, bool with_bias) {
      const int out_stride = kPanelRows + 3;
      std::vector<float> out(static_cast<size_t>(rows * out_stride), -1.0f);
      GroupedMatmulTask task = grouped_task(packed);
      task.x = x;
      task.x_stride = stride;
      task.w = packed.buffer.as<std::byte>();
      task.out = out.data();
      task.out_stride = out_stride;
      task.bias = with_bias ? bias.data() : nullptr;
      task.rows = rows;
      task.columns = columns;
      (bits == 8 ? table.matmul8 : table.matmul4)(task);
      return out;
    };
    for (const bool with_bias : {false, true})
      ASSERT_EQ(product(kernels(), with_bias), product(scalar(), with_bias))
          << rows << " x " << columns << " x " << cols << ", " << bits << " bits in groups of " << groups.group;
  }
}

// The extremes of both operands, 8-bit weights of -128 among them: sums must neither saturate nor wrap.
TEST_P(GroupedKernelsTest, TheLargestProductsAreExact) {
  for (const int bits : {4, 8}) {
    for (const int w : {0, (1 << bits) - 1}) {
      for (const int x_sign : {1, -1}) {
        GroupedActivations x = {};
        for (int8_t& q : x.q) q = static_cast<int8_t>(x_sign * kInt8Max);
        x.scale = 1;
        x.sum = static_cast<float>(x_sign * kInt8Max * kGroupedBlock);
        x.start = -8 * x_sign * kInt8Max * kGroupedBlock;
        alignas(64) uint8_t panel[64 + kGroupedBlock * kPanelRows];
        const uint16_t one = f32_to_f16(1);
        for (size_t lane = 0; lane < kPanelRows; ++lane) std::memcpy(panel + 2 * lane, &one, 2);
        std::memset(panel + 64, bits == 8 ? w : w | w << 4, sizeof panel - 64);
        float out[kPanelRows];
        GroupedMatmulTask task = {};
        task.x = &x;
        task.x_stride = sizeof x;
        task.w = panel;
        task.out = out;
        task.out_stride = kPanelRows;
        task.rows = task.blocks = task.group_blocks = 1;
        task.columns = kPanelRows;
        (bits == 8 ? kernels().matmul8 : kernels().matmul4)(task);
        const int centered = w - (1 << (bits - 1));
        for (const float v : out) EXPECT_EQ(v, static_cast<float>(centered * x_sign * kInt8Max * kGroupedBlock));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, GroupedKernelsTest, testing::ValuesIn(sets_with_integers()), kernel_set_name);

}  // namespace
}  // namespace qwen
