#include "backend/cpu/machine_probe.h"

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

}  // namespace

MachineCeilings probe_machine(std::string_view kernels, int threads, double seconds, size_t bytes, ProbedDot dot) {
  const KernelSet& set = choose_kernel_set(kernels);
  const KernelTable& table = set.table;
  const auto probe_dot = dot == ProbedDot::kInt8 && set.integer != nullptr ? set.integer->probe_dot : table.probe_dot;
  ThreadPool pool(threads > 0 ? threads : usable_cores());
  const int parts = pool.threads();
  DeviceBuffer buffer = allocate_host_memory(bytes, "the bandwidth probe");
  std::byte* const data = buffer.as<std::byte>();
  const size_t part = bytes / static_cast<size_t>(parts) / 4096 * 4096;
  pool.run(parts, [&](int i, int) { std::memset(data + static_cast<size_t>(i) * part, i + 1, part); });

  MachineCeilings ceilings;
  std::atomic<uint64_t> sink{0};
  ceilings.read_gbs =
      rate(seconds,
           [&] {
             pool.run(parts, [&](int i, int) { sink += table.probe_read(data + static_cast<size_t>(i) * part, part); });
             return static_cast<double>(part) * parts;
           }) /
      1e9;
  std::atomic<double> operations{0};
  ceilings.dot_gflops = rate(seconds,
                             [&] {
                               constexpr int64_t kRounds = 1 << 20;  // some milliseconds
                               operations = 0;
                               pool.run(parts, [&](int, int) {
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
