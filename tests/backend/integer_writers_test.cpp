// Every operation that fills a MatmulInput, before weights of every integer format: the integer kernels' bits are the
// specification's through a whole matmul, a row is the same alone and in its batch, and all is close to plain floats.
#include <functional>

#include "backend/backend_fixture.h"
#include "quant/integer_format.h"
#include "support/stored_groups.h"

namespace qwen {
namespace {

using Order = StoredGroups::Order;
using Kind = QuantFormat::Kind;
constexpr HeadShape kHeads{5, 1, 40};
constexpr int kRows = 19, kCols = kHeads.num_heads * kHeads.head_dim, kOutputs = 56;
constexpr QuantFormat kInt8{.kind = Kind::kInt8, .bits = 8, .group_size = kIntegerGroup};

// Writes rows [first, first + rows) of what it makes.
struct Writer {
  std::string name;
  std::function<void(CpuBackend&, MatmulInput&, int first, int rows)> write;
};

class IntegerWritersTest : public KernelTest {
 protected:
  static Tensor rows_of(CpuBackend& backend, const std::vector<float>& values, int first, int rows) {
    const size_t cols = values.size() / kRows;
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(first) * cols);
    return tensor_of(backend, {rows, static_cast<int64_t>(cols)},
                     {begin, begin + static_cast<std::ptrdiff_t>(static_cast<size_t>(rows) * cols)});
  }

  std::vector<Writer> writers() {
    std::vector<float> x = random(kRows * kCols), delta = random(kRows * kCols), gate_up = random(kRows * 2 * kCols),
                       norm = random(kCols), qkv = random(static_cast<size_t>(kRows * kHeads.qkv_size()));
    for (size_t row = 0; row < kRows; ++row) x[row * kCols + row] *= 50;  // outliers
    return {
        {"rms_norm",
         [=](CpuBackend& backend, MatmulInput& out, int first, int rows) {
           backend.rms_norm(out, rows_of(backend, x, first, rows), tensor_of(backend, {kCols}, norm), 1e-6f, rows);
         }},
        {"add_rms_norm",
         [=](CpuBackend& backend, MatmulInput& out, int first, int rows) {
           Tensor residual = rows_of(backend, x, first, rows);
           backend.add_rms_norm(out, residual, rows_of(backend, delta, first, rows), tensor_of(backend, {kCols}, norm),
                                1e-6f, rows);
         }},
        {"silu_and_mul", [=](CpuBackend& backend, MatmulInput& out, int first,
                             int rows) { backend.silu_and_mul(out, rows_of(backend, gate_up, first, rows), rows); }},
        {"paged_attention", [=](CpuBackend& backend, MatmulInput& out, int first, int rows) {
           const int block_size = backend.kv_block_size(), blocks = (kRows + block_size - 1) / block_size;
           std::vector<int32_t> slots(kRows), table(static_cast<size_t>(blocks));
           std::iota(slots.begin(), slots.end(), 0);
           std::iota(table.begin(), table.end(), 0);
           KvLayer kv = backend.alloc_kv(backend.kv_dtype(), blocks, block_size, kHeads);
           backend.store_kv(kv, rows_of(backend, qkv, 0, kRows), slots);
           const std::vector<int32_t> query_start = {0, rows}, context_lens = {first + rows};
           backend.paged_attention(out, rows_of(backend, qkv, first, rows), kv,
                                   {query_start, context_lens, table, blocks});
         }}};
  }

  static std::vector<float> product(CpuBackend& backend, const Matrix& weight, const Writer& writer, int first,
                                    int rows) {
    MatmulInput input = backend.alloc_matmul_input(rows, kCols, {});
    backend.set_reader(input, weight);
    writer.write(backend, input, first, rows);
    Tensor y = backend.alloc(DType::kF32, {rows, kOutputs});
    backend.matmul(y, input, weight, nullptr, rows);
    return values_of(backend, y, rows);
  }

  // `stored` as `format` is what `values` are, but for rounding.
  void expect_agreement(const HostMatrix& stored, const QuantFormat& format, const std::vector<float>& values,
                        double tolerance) {
    const KernelSet scalar_set = with_scalar_integers(kernels());
    CpuBackend fast(kernels(), 2), scalar(scalar_set, 1);
    const StoredMatrix plain(DType::kF32, kOutputs, kCols, values);
    const Matrix weight = fast.prepare({&stored, 1}, format), specified = scalar.prepare({&stored, 1}, format),
                 floats = fast.prepare({&plain.host, 1}, {});
    ASSERT_EQ(weight.format, specified.format);
    ASSERT_NE(weight.format.kind, Kind::kNone);
    for (const Writer& writer : writers()) {
      const std::vector<float> y = product(fast, weight, writer, 0, kRows);
      EXPECT_TRUE(same_bits(y, product(scalar, specified, writer, 0, kRows))) << writer.name;
      EXPECT_LT(relative_error(y, product(fast, floats, writer, 0, kRows)), tolerance) << writer.name;
      for (int row = 0; row < kRows; ++row) {
        EXPECT_TRUE(same_bits(product(fast, weight, writer, row, 1),
                              std::span(y).subspan(static_cast<size_t>(row) * kOutputs, kOutputs)))
            << writer.name << ", row " << row;
      }
    }
  }
};

TEST_P(IntegerWritersTest, FillInputsOfGroupedWeightsInAnyOrder) {
  uint32_t seed = 0;
  for (const int bits : {4, 8}) {
    for (const int group : {16, 64, 1 << 20}) {
      for (const Order order : {Order::kPlain, Order::kShuffled}) {
        ++seed;
        const StoredGroups groups(kOutputs, kCols, group, bits, order, seed, seed % 3 == 0);
        const StoredGptq stored(groups, 1, true, DType::kF16);
        SCOPED_TRACE(str(bits, " bits in groups of ", group, order == Order::kPlain ? "" : ", shuffled"));
        expect_agreement(stored.matrix, {}, groups.values(), 0.02);
      }
    }
  }
}

TEST_P(IntegerWritersTest, FillInputsOfInt8AndInt4Weights) {
  const std::vector<float> values = random(kOutputs * kCols);
  const StoredMatrix stored(DType::kF32, kOutputs, kCols, values);
  for (const QuantFormat& format : {kInt8, QuantFormat{.kind = Kind::kInt4, .bits = 4, .group_size = kIntegerGroup},
                                    QuantFormat{.kind = Kind::kInt4, .bits = 4, .group_size = kHalfGroup}}) {
    SCOPED_TRACE(str(format.bits, " bits in groups of ", format.group_size));
    expect_agreement(stored.host, format, values, format.bits == 8 ? 0.03 : 0.2);
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, IntegerWritersTest, testing::ValuesIn(sets_with_integers()), kernel_set_name);

}  // namespace
}  // namespace qwen
