#include "commands/supervisor.h"

#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "commands/service_end.h"
#include "commands/worker_process.h"
#include "server/workers/settings_handover.h"

namespace qwen {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTick{100}, kPoll{20};
constexpr int kTicksPerWatch = 5;          // of --reload
constexpr int kMostDeathsBeforeReady = 5;  // by signals: a kernel out of memory may have meant another process
constexpr milliseconds kLastWords{5000};   // beyond drain_timeout, for errors to what did not finish
constexpr milliseconds kAtOnce{10'000};    // after a second signal: a step of the engine, errors to what did not finish
constexpr int kMostHopelessEnds = 4;       // of each worker, with the same status

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) return str("was killed by signal ", WTERMSIG(status));
  return str("ended with exit status ", WEXITSTATUS(status));
}

// Statuses of what another try does not change.
bool hopeless(int status) {
  if (!WIFEXITED(status)) return false;
  for (const ErrorCode code :
       {ErrorCode::kUsage, ErrorCode::kBadData, ErrorCode::kMissingFile, ErrorCode::kPermission, ErrorCode::kConfig})
    if (WEXITSTATUS(status) == exit_status(code)) return true;
  return false;
}

std::shared_ptr<const WorkerSeat> own_seat(int workers) {
  auto board = WorkerBoard::create(workers);
  const int place = board->supervisor();
  return std::make_shared<const WorkerSeat>(
      WorkerSeat{std::move(board), std::make_shared<const Mailboxes>(workers), place});
}

// The workers look after themselves and say so.
ServiceConfig without_self_check(ServiceConfig config) {
  config.health_check_interval = {};
  return config;
}

}  // namespace

Supervisor::Supervisor(const ServiceConfig& config, const ServiceLog& log, ServiceSignals& signals,
                       ServiceManager& manager, Hooks hooks)
    : config_(without_self_check(config)),
      signals_(signals),
      manager_(manager),
      hooks_(std::move(hooks)),
      seat_(own_seat(config.workers)),
      server_(config_, service_, &log, seat_),
      workers_(static_cast<size_t>(config.workers)) {
  hand_over();
  std::signal(SIGCHLD, SIG_DFL);  // NOLINT(cert-err33-c): ignored, as some are started, it would take the exit statuses
}

Supervisor::~Supervisor() {
  stopping_ = true;
  end_all();
}

std::optional<int> Supervisor::run() {
  server_.start();
  if (config_.listen_while_loading) hooks_.listening(server_);
  // The first one alone: what it cannot do, none could, and the file of packed weights that it writes is the others'.
  workers_[0].start_at = Clock::now();
  for (int tick = 0;; tick = (tick + 1) % kTicksPerWatch) {
    reap();
    if (failure_) return failure_;
    start_due();
    look();
    if (server_.certificate_version() != handed_certificate_) hand_over_again();
    switch (const int event = signals_.wait(kTick)) {
      case ServiceSignals::kWoken:
      case ServiceSignals::kNothing:
        break;
      case SIGHUP:
        manager_.reloading();
        hooks_.reload();
        hand_over_again();
        manager_.reloaded();
        break;
      case SIGUSR1:
        forward(SIGUSR1);
        break;
      default:
        return shut_down(event);
    }
    if (tick == 0 && hooks_.restart_wanted && hooks_.restart_wanted()) {
      stopping_ = true;
      end_all();
      server_.stop({});
      return std::nullopt;
    }
  }
}

// Whoever is started from here on has it, and whoever runs takes it over.
void Supervisor::hand_over() {
  handed_certificate_ = server_.certificate_version();  // before it: a newer one is handed over the next time
  const std::string settings = spell_settings(hooks_.accepted(), server_.certificate());
  const auto before = seat_->board->settings().read();
  if (before && before->text == settings) return;
  if (!seat_->board->settings().write({settings}))
    throw Error(ErrorCode::kConfig, str("the settings are too large for worker processes: ", settings.size(), " of ",
                                        SharedText::kMostBytes, " bytes"));
  forward(SIGHUP);
}

void Supervisor::hand_over_again() {
  try {
    hand_over();
  } catch (const Error& error) {
    log_error("workers keep the settings that they have: ", error.what());
  }
}

void Supervisor::start_due() {
  const auto now = Clock::now();
  for (size_t i = 0; i < workers_.size(); ++i) {
    Worker& worker = workers_[i];
    if (worker.pid >= 0 || !worker.start_at || *worker.start_at > now) continue;
    worker.start_at.reset();
    worker.ready_since.reset();
    const int place = static_cast<int>(i);
    seat_->board->set_state(place, WorkerState::kLoading);
    try {
      worker.pid = start_worker(*seat_, place, server_.listening_socket(), gpu_of_worker(config_, place));
    } catch (const Error& error) {
      if (!any_ready_ever_) throw;
      worker.start_at = now + worker.backoff.after_end({});
      seat_->board->retire(place);
      log_error(error.what());
      continue;
    }
    log_info("worker ", place, " is process ", worker.pid);
    if (std::exchange(worker.started_once, true)) server_.on_worker_restart();
  }
}

void Supervisor::reap() {
  for (size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i].pid < 0) continue;
    int status = 0;
    const pid_t found = ::waitpid(workers_[i].pid, &status, WNOHANG);
    // ECHILD: it has ended, and somebody else has had its status.
    if (found == workers_[i].pid || (found < 0 && errno == ECHILD)) ended(static_cast<int>(i), status);
  }
}

void Supervisor::ended(int place, int status) {
  Worker& worker = workers_[static_cast<size_t>(place)];
  const pid_t pid = std::exchange(worker.pid, -1);
  seat_->board->retire(place);
  if (stopping_) return;
  if (!any_ready_ever_) return ended_before_ready(place, status);
  const auto now = Clock::now();
  const auto ready =
      worker.ready_since ? std::chrono::duration_cast<milliseconds>(now - *worker.ready_since) : milliseconds(0);
  const milliseconds wait = worker.backoff.after_end(ready);
  worker.start_at = now + wait;
  log_error("worker ", place, " (process ", pid, ") ", how_it_ended(status), "; it is started again in ",
            static_cast<double>(wait.count()) / 1000, " s");
  look_for_hopelessness(status);
}

// One that was up may come up again. Where none does, for a reason that stays, whoever looks after the service must see
// it: as one process would, it ends.
void Supervisor::look_for_hopelessness(int status) {
  const int before = std::exchange(hopeless_status_, hopeless(status) ? WEXITSTATUS(status) : 0);
  hopeless_ends_ = hopeless_status_ == 0 ? 0 : hopeless_status_ == before ? hopeless_ends_ + 1 : 1;
  if (hopeless_ends_ < kMostHopelessEnds * static_cast<int>(workers_.size()) || any_alive() || hooks_.restart_wanted)
    return;
  failure_ = hopeless_status_;
  log_error("the service ends: no worker comes up any more, each ends with exit status ", hopeless_status_);
}

void Supervisor::ended_before_ready(int place, int status) {
  Worker& worker = workers_[static_cast<size_t>(place)];
  if (WIFSIGNALED(status)) {
    if (++deaths_before_ready_ >= kMostDeathsBeforeReady)
      throw Error(ErrorCode::kTemporary, str("no worker came up in ", deaths_before_ready_, " starts: the last one ",
                                             how_it_ended(status), "; is there memory enough for the model?"));
    const milliseconds wait = worker.backoff.after_end({});
    worker.start_at = Clock::now() + wait;
    return log_error("the first worker ", how_it_ended(status), "; it is started again");
  }
  const int code = WEXITSTATUS(status);
  if (hooks_.restart_wanted) return log_error("the first worker ", how_it_ended(status), "; waiting for a change");
  // Its own line on standard error says why.
  failure_ = code == 0 ? exit_status(ErrorCode::kInternal) : code;
}

// What the workers say about themselves, and what follows from it.
void Supervisor::look() {
  const WorkerBoard& board = *seat_->board;
  const auto now = Clock::now();
  for (size_t i = 0; i < workers_.size(); ++i)
    if (!workers_[i].ready_since && workers_[i].pid >= 0 && board.state(static_cast<int>(i)) == WorkerState::kReady)
      workers_[i].ready_since = now;
  const bool ready = board.count(WorkerState::kReady) > 0;
  if (ready) hopeless_ends_ = 0;
  if (ready && !std::exchange(any_ready_ever_, true)) {
    for (size_t i = 1; i < workers_.size(); ++i) workers_[i].start_at = now;
    server_.open_port();
    if (!config_.listen_while_loading) hooks_.listening(server_);
  }
  const bool answers_itself = !board.anybody_accepts();
  if (std::exchange(answers_itself_, answers_itself) && !answers_itself) server_.drop_idle();
  if (any_ready_ever_) look_for_hangs();
  service_.set_progress(static_cast<uint64_t>(board.progress(0) * 1e6), 1'000'000);
  service_.speak_for(ready             ? ServiceState::kReady
                     : any_ready_ever_ ? ServiceState::kUnhealthy
                                       : ServiceState::kLoading);
  tell_manager();
}

void Supervisor::look_for_hangs() {
  const WorkerBoard& board = *seat_->board;
  for (size_t i = 0; i < workers_.size(); ++i) {
    const int place = static_cast<int>(i);
    if (workers_[i].pid < 0) continue;
    const bool failed = board.state(place) == WorkerState::kUnhealthy;
    const auto heartbeat = board.heartbeat(place);
    const bool hangs =
        config_.engine_watchdog.count() > 0 && heartbeat && Clock::now() - *heartbeat > config_.engine_watchdog;
    if (!failed && !hangs) continue;
    log_error("the engine of worker ", place, failed ? " failed" : " hangs", ": the process is killed");
    ::kill(workers_[i].pid, SIGKILL);
    seat_->board->set_state(place, WorkerState::kDown);
    seat_->board->set_heartbeat(place, std::nullopt);
  }
}

void Supervisor::tell_manager() {
  ServiceManager::Condition condition = condition_of(service_);
  using Phase = ServiceManager::Condition::Phase;
  if (condition.phase == Phase::kReady)
    condition.description = str(seat_->board->count(WorkerState::kReady), " of ", workers_.size(), " workers ready");
  if (condition.phase == Phase::kUnhealthy) condition.description = "no worker is up";
  manager_.tell(condition);
}

int Supervisor::shut_down(int signal) {
  ServiceEnd end(server_, signal, config_.drain_timeout);
  stopping_ = true;
  const bool serves = seat_->board->count(WorkerState::kReady) > 0;  // soon the workers say that they drain
  seat_->board->order_end(signal);
  forward(signal);
  int second = 0;
  const auto hurry = [&] {
    tell_manager();
    if (second == 0 && (second = signals_.poll()) != 0) {
      seat_->board->order_hurry(second);
      forward(second);
    }
    return second != 0;
  };
  server_.close_port(serves && signal != SIGINT ? config_.drain_grace : std::chrono::seconds(0), hurry);
  auto limit = Clock::now() + config_.drain_timeout + kLastWords;
  for (reap(); any_alive() && Clock::now() < limit; reap()) {
    if (hurry()) limit = std::min(limit, Clock::now() + kAtOnce);
    std::this_thread::sleep_for(kPoll);
  }
  for (size_t i = 0; i < workers_.size(); ++i)
    if (workers_[i].pid >= 0) log_error("worker ", i, " (process ", workers_[i].pid, ") does not end: it is killed");
  end_all();
  server_.stop({});
  end.say();
  return second == 0 ? 0 : 128 + second;
}

void Supervisor::end_all() {
  forward(SIGKILL);
  for (const Worker& worker : workers_)
    if (worker.pid >= 0) ::waitpid(worker.pid, nullptr, 0);
  for (Worker& worker : workers_) worker.pid = -1;
}

void Supervisor::forward(int signal) const {
  for (const Worker& worker : workers_)
    if (worker.pid >= 0) ::kill(worker.pid, signal);
}

bool Supervisor::any_alive() const {
  for (const Worker& worker : workers_)
    if (worker.pid >= 0) return true;
  return false;
}

}  // namespace qwen
