#include "commands/worker_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <span>
#include <vector>

#include "base/error.h"

namespace qwen {
namespace {

constexpr const char* kPlaceVariable = "QWEN_WORKER";
constexpr int kListeningSocket = 3, kBoard = 4, kMailboxes = 5;  // descriptors of a worker at its start, these in a row

// Not a worker's: the service manager listens to its supervisor alone.
constexpr const char* kNotInherited[] = {"NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID=", "QWEN_WORKER="};

std::vector<std::string> own_arguments() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string line{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::string> arguments;
  for (size_t at = 0; at < line.size(); at += arguments.back().size() + 1) arguments.emplace_back(line.c_str() + at);
  return arguments;
}

std::vector<std::string> worker_environment(int place, const std::string& gpu) {
  std::vector<std::string> result;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view one = *variable;
    const auto starts = [&](const char* name) { return one.rfind(name, 0) == 0; };
    if (std::any_of(std::begin(kNotInherited), std::end(kNotInherited), starts)) continue;
    if (!gpu.empty() && starts("CUDA_VISIBLE_DEVICES=")) continue;
    result.emplace_back(one);
  }
  result.push_back(str(kPlaceVariable, '=', place));
  if (!gpu.empty()) result.push_back("CUDA_VISIBLE_DEVICES=" + gpu);
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

void close_from(int first) {
#ifdef SYS_close_range
  if (::syscall(SYS_close_range, first, ~0U, 0) == 0) return;
#endif
  rlimit limit{};
  const int end =
      ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 1 << 20)) : 1024;
  for (int fd = first; fd < end; ++fd) ::close(fd);
}

// After fork(): nothing but what a signal handler may call, for other threads may have held any lock. `descriptors`:
// for the worker, from kListeningSocket on.
[[noreturn]] void become_worker(pid_t supervisor, std::span<int> descriptors, char** arguments, char** environment) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != supervisor) ::_exit(0);  // it died before
  const int end = kListeningSocket + static_cast<int>(descriptors.size());
  for (int& each : descriptors) each = ::fcntl(each, F_DUPFD, end);  // out of the way of the places to fill
  for (int place = kListeningSocket; place < end; ++place)
    if (::dup2(descriptors[static_cast<size_t>(place - kListeningSocket)], place) < 0) ::_exit(71);
  close_from(end);
  ::execve("/proc/self/exe", arguments, environment);
  ::_exit(71);
}

}  // namespace

pid_t start_worker(const WorkerSeat& supervisor_seat, int place, int listening_socket, const std::string& gpu) {
  std::vector<std::string> arguments = own_arguments(), environment = worker_environment(place, gpu);
  std::vector<int> descriptors{listening_socket, supervisor_seat.board->file()};
  for (const int each : supervisor_seat.mailboxes->descriptors(place)) descriptors.push_back(each);
  const std::vector<char*> argv = pointers(arguments), envp = pointers(environment);
  const pid_t supervisor = ::getpid(), pid = ::fork();
  if (pid < 0) throw Error(ErrorCode::kOs, str("cannot start a worker process: ", std::strerror(errno)));
  if (pid == 0)
    become_worker(supervisor, descriptors, const_cast<char**>(argv.data()), const_cast<char**>(envp.data()));
  return pid;
}

std::shared_ptr<const WorkerSeat> inherited_seat() {
  const char* const text = std::getenv(kPlaceVariable);
  if (text == nullptr) return nullptr;
  WorkerSeat seat;
  const char* const end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, seat.place);
  for (const int fd : {kListeningSocket, kBoard})
    if (error != std::errc() || stop != end || ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
      throw Error(ErrorCode::kUsage,
                  str(kPlaceVariable, " is set by the supervisor of worker processes alone; unset it"));
  ::unsetenv(kPlaceVariable);
  seat.board = WorkerBoard::open(FileDescriptor(kBoard));
  seat.listening_socket = kListeningSocket;
  std::vector<int> mailboxes;
  for (int i = 0; i < Mailboxes::descriptor_count(seat.board->workers()); ++i) {
    mailboxes.push_back(kMailboxes + i);
    if (::fcntl(mailboxes.back(), F_SETFD, FD_CLOEXEC) != 0)
      throw Error(ErrorCode::kInternal, "workers: the supervisor gave no mailboxes");
  }
  seat.mailboxes = std::make_shared<const Mailboxes>(mailboxes);
  if (seat.place < 0 || seat.place >= seat.board->workers())
    throw Error(ErrorCode::kInternal, str(kPlaceVariable, ": there is no such place"));
  return std::make_shared<const WorkerSeat>(std::move(seat));
}

ServiceConfig worker_config(ServiceConfig config, int place, int workers, int cores) {
  config.workers = workers;
  config.metrics_port = 0;
  if (const std::string gpu = gpu_of_worker(config, place); !gpu.empty()) config.cuda_visible_devices = gpu;
  if (config.threads == 0) config.threads = std::max(1, cores / workers + (place < cores % workers ? 1 : 0));
  const auto share = [&](int of_all) { return of_all / workers + (of_all % workers != 0 ? 1 : 0); };
  HttpLimits& http = config.http;
  http.max_connections = share(http.max_connections);
  http.max_connections_per_client = share(http.max_connections_per_client);
  http.max_buffered_body_bytes =  // one request as large as may be has room in each
      std::max(http.max_buffered_body_bytes / static_cast<size_t>(workers), http.max_body_bytes);
  config.cache_max_bytes = std::max<size_t>(config.cache_max_bytes / static_cast<size_t>(workers), 1);
  config.cache_max_entries = std::max(config.cache_max_entries / workers, 1);
  return config;
}

ServiceConfig worker_config(ServiceConfig config, const WorkerSeat& seat, int cores) {
  config = worker_config(std::move(config), seat.place, seat.board->workers(), cores);
  const size_t bytes = seat.board->kv_cache_bytes();
  if (config.device == "cpu" && bytes > 0) config.kv_cache_bytes = bytes;  // GPUs differ
  return config;
}

std::string gpu_of_worker(const ServiceConfig& config, int place) {
  if (config.device.rfind("cuda", 0) != 0) return "";
  std::vector<std::string> devices;
  std::string_view rest = config.cuda_visible_devices;
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    devices.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return devices.size() < 2 ? "" : devices[static_cast<size_t>(place) % devices.size()];
}

}  // namespace qwen
