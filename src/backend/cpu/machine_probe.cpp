#include "backend/cpu/machine_probe.h"

#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <cstring>

#include "backend/cpu/host_memory.h"
#include "backend/cpu/kernel_set.h"
#include "base/cpu_count.h"
#include "base/thread_pool.h"

namespace qwen {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Work done by `round` per second, over `seconds`; one round beforehand to wake and warm everything.
template <typename Round>
double rate(double seconds, const Round& round) {
  round();
  const double start = now();
  double work = 0, elapsed = 0;
  do {
    work += round();
    elapsed = now() - start;
  } while (elapsed < seconds);
  return work / elapsed;
}

// 10⁹ bytes per second of all the pool's threads over `buffer`, which is filled first.
double read_rate(const KernelTable& table, ThreadPool& pool, DeviceBuffer& buffer, double seconds) {
  const int parts = pool.threads();
  std::byte* const data = buffer.as<std::byte>();
  const size_t part = buffer.size_bytes() / static_cast<size_t>(parts) / 4096 * 4096;
  pool.run(parts, [&](int i, int) { std::memset(data + static_cast<size_t>(i) * part, i + 1, part); });
  std::atomic<uint64_t> sink{0};
  const auto read_all = [&] {
    pool.run(parts, [&](int i, int) { sink += table.probe_read(data + static_cast<size_t>(i) * part, part); });
    return static_cast<double>(part) * parts;
  };
  return rate(seconds, read_all) / 1e9;
}

}  // namespace

double probe_small_page_reads(std::string_view kernels, int threads, double seconds, size_t bytes) {
  ThreadPool pool(threads > 0 ? threads : usable_cores());
  DeviceBuffer buffer = allocate_host_memory(bytes, "the bandwidth probe");
  madvise(buffer.as<std::byte>(), buffer.size_bytes(), MADV_NOHUGEPAGE);  // refused where there are none anyway
  return read_rate(choose_kernel_set(kernels).table, pool, buffer, seconds);
}

MachineCeilings probe_machine(std::string_view kernels, int threads, double seconds, size_t bytes, ProbedDot dot) {
  const KernelSet& set = choose_kernel_set(kernels);
  const KernelTable& table = set.table;
  const auto probe_dot = dot == ProbedDot::kInt8 && set.integer != nullptr ? set.integer->probe_dot : table.probe_dot;
  ThreadPool pool(threads > 0 ? threads : usable_cores());
  DeviceBuffer buffer = allocate_host_memory(bytes, "the bandwidth probe");
  MachineCeilings ceilings;
  ceilings.read_gbs = read_rate(table, pool, buffer, seconds);
  std::atomic<double> operations{0};
  ceilings.dot_gflops = rate(seconds,
                             [&] {
                               constexpr int64_t kRounds = 1 << 20;  // some milliseconds
                               operations = 0;
                               pool.run(pool.threads(), [&](int, int) {
                                 const double done = probe_dot(kRounds);
                                 double sum = operations.load();
                                 while (!operations.compare_exchange_weak(sum, sum + done)) {
                                 }
                               });
                               return operations.load();
                             }) /
                        1e9;
  return ceilings;
}

}  // namespace qwen
