#include "server/workers/worker_board.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <thread>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "metrics/exposition.h"

namespace qwen {
namespace {

constexpr uint64_t kMagic = 0x716b62726f775133;  // and the layout's version
constexpr int kMostWorkers = 1024;
constexpr int kReadTries = 1000;

Error os_error(const char* what) { return {ErrorCode::kOs, str("workers: ", what, ": ", std::strerror(errno))}; }

}  // namespace

struct WorkerBoard::Place {
  std::atomic<WorkerState> state;
  std::atomic<uint32_t> accepting;
  std::atomic<int> load;
  std::atomic<double> progress;
  std::atomic<int64_t> heartbeat;  // nanoseconds of Clock; 0 = none
  SharedText snapshot;             // the bytes of ServiceFigures, and the metrics
};

struct WorkerBoard::Shared {
  uint64_t magic;
  int32_t workers;
  int32_t supervisor;  // its process
  int64_t started;
  SharedText settings;
  std::atomic<int> ending, hurry;  // signals; 0 = none
  std::atomic<size_t> kv_cache_bytes;
  std::atomic<bool> keys_required;
  RateTable rates;
  std::atomic<uint64_t> epoch;  // odd while a worker's figures move to those of the ended
  Place places[];               // workers, supervisor, the ended
};

std::string_view worker_state_name(WorkerState state) {
  switch (state) {
    case WorkerState::kLoading:
      return "loading";
    case WorkerState::kReady:
      return "ready";
    case WorkerState::kDraining:
      return "draining";
    case WorkerState::kUnhealthy:
      return "unhealthy";
    case WorkerState::kDown:
      break;
  }
  return "down";
}

void CacheFigures::add(const CacheFigures& other) {
  hits += other.hits;
  joined += other.joined;
  misses += other.misses;
  errors += other.errors;
  bypassed += other.bypassed;
  evictions += other.evictions;
  caches += other.caches;
  breakers_open += other.breakers_open;
  entries += other.entries;
  bytes += other.bytes;
}

CacheFigures CacheFigures::ended() const {
  CacheFigures rest = *this;
  rest.caches = rest.breakers_open = 0;
  rest.entries = rest.bytes = 0;
  return rest;
}

void ServiceFigures::add(const ServiceFigures& other) {
  cache.add(other.cache);
  successful += other.successful;
  failed += other.failed;
  cancelled += other.cancelled;
  cut += other.cut;
  successful_seconds += other.successful_seconds;
  prompt_tokens += other.prompt_tokens;
  generated_tokens += other.generated_tokens;
  first_tokens += other.first_tokens;
  first_token_seconds += other.first_token_seconds;
  running += other.running;
  waiting += other.waiting;
  used_blocks += other.used_blocks;
  total_blocks += other.total_blocks;
  tokens_per_second += other.tokens_per_second;
  own_bytes += other.own_bytes;
  shared_bytes = std::max(shared_bytes, other.shared_bytes);
}

ServiceFigures ServiceFigures::ended() const {
  ServiceFigures rest = *this;
  rest.running = rest.waiting = rest.used_blocks = rest.total_blocks = 0;
  rest.tokens_per_second = 0;
  rest.cache = cache.ended();
  rest.own_bytes = rest.shared_bytes = 0;
  return rest;
}

WorkerBoard::WorkerBoard(FileDescriptor file, size_t bytes) : file_(std::move(file)), bytes_(bytes) {
  void* const mapped = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
  if (mapped == MAP_FAILED) throw os_error("cannot map shared memory");
  shared_ = static_cast<Shared*>(mapped);
}

WorkerBoard::~WorkerBoard() { ::munmap(shared_, bytes_); }

std::shared_ptr<WorkerBoard> WorkerBoard::create(int workers) {
  QWEN_CHECK(workers >= 1 && workers <= kMostWorkers);
  static_assert(std::atomic<double>::is_always_lock_free && std::atomic<int64_t>::is_always_lock_free);
  FileDescriptor file(::memfd_create("qwen-thinking workers", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const size_t bytes = sizeof(Shared) + static_cast<size_t>(workers + 2) * sizeof(Place);
  if (!file.valid() || ::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0 ||
      ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    throw os_error("cannot make shared memory");
  std::shared_ptr<WorkerBoard> board(new WorkerBoard(std::move(file), bytes));
  Shared* const shared = new (board->shared_) Shared;  // zeros are an empty place
  shared->workers = workers;
  shared->supervisor = ::getpid();
  shared->started = Clock::now().time_since_epoch().count();
  shared->magic = kMagic;
  return board;
}

std::shared_ptr<WorkerBoard> WorkerBoard::open(FileDescriptor file) {
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) throw os_error("cannot read shared memory");
  const auto bytes = static_cast<size_t>(info.st_size);
  if (bytes < sizeof(Shared)) throw Error(ErrorCode::kInternal, "workers: the supervisor's memory is none");
  std::shared_ptr<WorkerBoard> board(new WorkerBoard(std::move(file), bytes));
  const Shared& shared = *board->shared_;
  if (shared.magic != kMagic || shared.workers < 1 || shared.workers > kMostWorkers ||
      bytes != sizeof(Shared) + static_cast<size_t>(shared.workers + 2) * sizeof(Place))
    throw Error(ErrorCode::kInternal, "workers: the supervisor's memory is of another version");
  return board;
}

WorkerBoard::Place& WorkerBoard::place(int index) const { return shared_->places[index]; }
int WorkerBoard::workers() const { return shared_->workers; }
WorkerBoard::Clock::time_point WorkerBoard::started() const {
  return Clock::time_point(Clock::duration(shared_->started));
}
pid_t WorkerBoard::supervisor_process() const { return shared_->supervisor; }
RateTable& WorkerBoard::rates() { return shared_->rates; }
SharedText& WorkerBoard::settings() { return shared_->settings; }

void WorkerBoard::order_end(int signal) { shared_->ending = signal; }
void WorkerBoard::order_hurry(int signal) { shared_->hurry = signal; }
int WorkerBoard::ending() const { return shared_->ending; }
int WorkerBoard::hurry() const { return shared_->hurry; }

size_t WorkerBoard::kv_cache_bytes() const { return shared_->kv_cache_bytes; }
void WorkerBoard::offer_kv_cache_bytes(size_t bytes) {
  size_t none = 0;
  shared_->kv_cache_bytes.compare_exchange_strong(none, bytes);
}

void WorkerBoard::set_state(int index, WorkerState state) { place(index).state = state; }
void WorkerBoard::set_accepting(int index, bool accepting) { place(index).accepting = accepting ? 1 : 0; }
void WorkerBoard::set_progress(int index, double progress) { place(index).progress = progress; }
void WorkerBoard::set_heartbeat(int index, std::optional<Clock::time_point> heartbeat) {
  place(index).heartbeat = heartbeat ? heartbeat->time_since_epoch().count() : 0;
}
void WorkerBoard::require_keys() { shared_->keys_required = true; }
bool WorkerBoard::keys_required() const { return shared_->keys_required; }
std::atomic<int>& WorkerBoard::load(int index) { return place(index).load; }

WorkerState WorkerBoard::state(int index) const { return place(index).state; }
double WorkerBoard::progress(int index) const { return place(index).progress; }
std::optional<WorkerBoard::Clock::time_point> WorkerBoard::heartbeat(int index) const {
  const int64_t ticks = place(index).heartbeat;
  if (ticks == 0) return std::nullopt;
  return Clock::time_point(Clock::duration(ticks));
}

int WorkerBoard::count(WorkerState state) const {
  int found = 0;
  for (int i = 0; i < workers(); ++i) found += place(i).state == state ? 1 : 0;
  return found;
}

bool WorkerBoard::anybody_accepts() const {
  for (int i = 0; i < workers(); ++i)
    if (place(i).accepting != 0) return true;
  return false;
}

bool WorkerBoard::somebody_is_less_busy(int index) const {
  const int own = place(index).load;
  for (int i = 0; i < workers(); ++i)
    if (i != index && place(i).accepting != 0 && place(i).load < own) return true;
  return false;
}

bool WorkerBoard::publish(int index, const ServiceSnapshot& snapshot) {
  static_assert(std::is_trivially_copyable_v<ServiceFigures>);
  const std::string_view figures(reinterpret_cast<const char*>(&snapshot.figures), sizeof snapshot.figures);
  return place(index).snapshot.write({figures, snapshot.metrics});
}

std::optional<ServiceSnapshot> WorkerBoard::read(int index) const {
  const auto told = place(index).snapshot.read();
  ServiceSnapshot snapshot;
  if (!told || told->text.size() < sizeof snapshot.figures) return std::nullopt;
  std::memcpy(&snapshot.figures, told->text.data(), sizeof snapshot.figures);
  snapshot.metrics = told->text.substr(sizeof snapshot.figures);
  return snapshot;
}

ServiceSnapshot WorkerBoard::read_all() const {
  std::vector<ServiceSnapshot> snapshots;
  std::vector<Exposition> parts;
  const int all = workers() + 2;
  snapshots.reserve(static_cast<size_t>(all));
  ServiceSnapshot total;
  for (int i = 0; i < all; ++i) {
    auto snapshot = read(i);
    if (!snapshot) continue;
    snapshots.push_back(std::move(*snapshot));
    total.figures.add(snapshots.back().figures);
    const bool worker = i < workers();
    using Source = Exposition::Source;
    parts.push_back({worker              ? Source::kWorker
                     : i == supervisor() ? Source::kSupervisor
                                         : Source::kEnded,
                     worker ? std::to_string(i) : "supervisor", snapshots.back().metrics});
  }
  total.metrics = join_expositions(parts);
  return total;
}

ServiceSnapshot WorkerBoard::total() const {
  ServiceSnapshot total;
  for (int i = 0; i < kReadTries; ++i) {
    const uint64_t epoch = shared_->epoch.load(std::memory_order_acquire);
    if (epoch % 2 == 0) {
      total = read_all();
      std::atomic_thread_fence(std::memory_order_acquire);
      if (shared_->epoch.load(std::memory_order_relaxed) == epoch) break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return total;
}

void WorkerBoard::retire(int worker) {
  Place& empty = place(worker);
  empty.state = WorkerState::kDown;
  empty.accepting = 0;
  empty.load = 0;
  empty.progress = 0;
  empty.heartbeat = 0;
  const auto last = read(worker);
  if (!last) return;
  const int ended = supervisor() + 1;
  const ServiceSnapshot before = read(ended).value_or(ServiceSnapshot());
  ServiceSnapshot kept{.figures = before.figures};
  kept.figures.add(last->figures.ended());
  using Source = Exposition::Source;
  const Exposition parts[] = {{Source::kEnded, "", before.metrics}, {Source::kEnded, "", last->metrics}};
  kept.metrics = join_expositions(parts);
  shared_->epoch.fetch_add(1);
  publish(ended, kept);
  publish(worker, {});
  shared_->epoch.fetch_add(1);
}

}  // namespace qwen
