// What the processes of a service tell each other, in memory that they share: who is up and how busy, each one's
// figures, the rates of the keys; and the supervisor's word: the settings that hold, and that the service ends. Every
// process writes its own part and reads all; nobody ever waits for another, so one that hangs or is killed in the
// middle of a write disturbs nobody. Invariant: total() never goes back in what only grows. Figures that were once told
// stay told: a process's last ones are kept when it ends (retire()).
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/file_descriptor.h"
#include "server/access/rate_table.h"
#include "server/workers/mailboxes.h"
#include "server/workers/shared_text.h"

namespace qwen {

// kDown: there is no process.
enum class WorkerState : uint32_t { kDown, kLoading, kReady, kDraining, kUnhealthy };
std::string_view worker_state_name(WorkerState state);  // "down", "loading", "ready", "draining", "unhealthy"

// Of the response cache.
struct CacheFigures {
  uint64_t hits = 0, joined = 0, misses = 0, errors = 0, bypassed = 0, evictions = 0;
  // Of this moment.
  int caches = 0, breakers_open = 0;
  uint64_t entries = 0, bytes = 0;

  void add(const CacheFigures& other);
  CacheFigures ended() const;
};

// What /stats is made of.
struct ServiceFigures {
  uint64_t successful = 0, failed = 0, cancelled = 0;  // API requests
  uint64_t cut = 0;                                    // that ran when the service could not wait for them any longer
  double successful_seconds = 0;
  double prompt_tokens = 0, generated_tokens = 0, first_tokens = 0, first_token_seconds = 0;
  CacheFigures cache;
  // What follows is of this moment, and gone with the process.
  int running = 0, waiting = 0, used_blocks = 0, total_blocks = 0;
  double tokens_per_second = 0;
  uint64_t own_bytes = 0, shared_bytes = 0;  // resident; shared: pages of files, which count once

  void add(const ServiceFigures& other);
  ServiceFigures ended() const;  // of a process that is no more
};

struct ServiceSnapshot {
  ServiceFigures figures;
  std::string metrics;  // exposition format
};

class WorkerBoard {
 public:
  using Clock = std::chrono::steady_clock;  // the same in all processes of a machine

  // For the supervisor. Errors: kOs.
  static std::shared_ptr<WorkerBoard> create(int workers);
  // For a worker, which got the file from its supervisor. Errors: kOs; kInternal where it is something else.
  static std::shared_ptr<WorkerBoard> open(FileDescriptor file);
  ~WorkerBoard();
  WorkerBoard(const WorkerBoard&) = delete;
  WorkerBoard& operator=(const WorkerBoard&) = delete;

  int file() const { return file_.get(); }
  int workers() const;
  int supervisor() const { return workers(); }  // its place, after the workers'
  pid_t supervisor_process() const;
  Clock::time_point started() const;
  RateTable& rates();  // written by all

  // --- Each of its own place.
  void set_state(int place, WorkerState state);
  void set_accepting(int place, bool accepting);
  void set_progress(int place, double progress);  // of loading, 0…1
  void set_heartbeat(int place, std::optional<Clock::time_point> heartbeat);
  std::atomic<int>& load(int place);  // open connections
  // Too large a text is not told at all; false then. One caller at a time.
  bool publish(int place, const ServiceSnapshot& snapshot);

  // --- Of all.
  WorkerState state(int place) const;
  int count(WorkerState state) const;
  double progress(int place) const;
  std::optional<Clock::time_point> heartbeat(int place) const;
  bool anybody_accepts() const;
  bool somebody_is_less_busy(int place) const;  // and accepts
  ServiceSnapshot total() const;

  // --- The supervisor's.
  SharedText& settings();  // spelled by workers/settings_handover.h; secret
  // The service was started with API keys: whoever is handed settings without any lets nobody in.
  void require_keys();
  bool keys_required() const;
  // That the service ends, as SIGTERM or SIGINT ends it; that it ends at once. 0: not said. To be said before the
  // signal is sent that has a worker look here.
  void order_end(int signal);
  void order_hurry(int signal);
  int ending() const;
  int hurry() const;
  // Once the worker's process has ended: its figures are kept, its place is empty.
  void retire(int worker);

  // --- Of the first worker that has one: how large all others' are. 0: there was none yet.
  void offer_kv_cache_bytes(size_t bytes);
  size_t kv_cache_bytes() const;

 private:
  struct Shared;
  struct Place;
  WorkerBoard(FileDescriptor file, size_t bytes);
  Place& place(int index) const;
  std::optional<ServiceSnapshot> read(int index) const;  // nothing: never published
  ServiceSnapshot read_all() const;

  const FileDescriptor file_;
  const size_t bytes_;
  Shared* shared_ = nullptr;
};

// A process's part in a service of several.
struct WorkerSeat {
  std::shared_ptr<WorkerBoard> board;
  std::shared_ptr<const Mailboxes> mailboxes;
  int place = 0;
  int listening_socket = -1;  // a worker's, from its supervisor; -1: opens its own

  bool supervisor() const { return place == board->supervisor(); }
};

}  // namespace qwen
