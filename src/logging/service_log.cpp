#include "logging/service_log.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "logging/console.h"
#include "logging/fatal_signals.h"
#include "logging/log_file.h"

namespace qwen {
namespace {

constexpr std::chrono::milliseconds kLastWords{1000};  // for the files, and for standard error
constexpr std::chrono::seconds kDiskInterval{10};
constexpr size_t kNumLevels = 4;
constexpr const char* kGuidesFolder = "/app/logs";
constexpr const char* kGuidesFile = "/app/logs/service.log";

// The three files and their disk; written by one thread, asked by any.
class LogFiles {
 public:
  explicit LogFiles(const ServiceLogOptions& options)
      : format_(options.format),
        folder_(std::filesystem::path(options.file).parent_path()),
        service_(file(options, options.file)),
        access_(file(options, folder_ / "access.log")),
        error_(file(options, folder_ / "error.log")) {}

  void write(const std::vector<LogRecord>& records) {
    if (!begun_ && records.empty()) return;
    std::string service, access, error, line;
    for (const LogRecord& record : records) {
      line.clear();
      format_.append(line, record);
      (record.access ? access : service) += line;
      if (record.level >= LogLevel::kError) error += line;
    }
    if (reopen_.exchange(false))
      for (LogFile* one : {&service_, &access_, &error_}) one->reopen();
    error_.append(error);
    service_.append(service);
    access_.append(access);
    tell_news();
    look_at_disk();
  }
  void begin() { begun_ = true; }
  void reopen() { reopen_ = true; }

  // The record did not get as far as write().
  void count_dropped(const LogRecord& record) {
    ++(record.access ? access_missed_ : service_missed_);
    if (record.level >= LogLevel::kError) ++error_missed_;
  }

  void add_stats(LogStats& stats) const {
    stats.targets.push_back(target("service", service_, service_missed_));
    stats.targets.push_back(target("access", access_, access_missed_));
    stats.targets.push_back(target("error", error_, error_missed_));
    if (const uint64_t size = disk_size_; size > 0) stats.disk = LogStats::Disk{disk_free_, size};
  }

 private:
  static LogFileOptions file(const ServiceLogOptions& options, const std::string& path) {
    return {.path = path, .max_bytes = options.max_bytes, .backup_count = options.backup_count, .retry = options.retry};
  }
  static LogStats::Target target(std::string_view name, const LogFile& file, uint64_t missed) {
    return {name, file.dropped() + missed, file.failures(), file.writable()};
  }

  // What befell several files is one line.
  void tell_news() {
    std::vector<std::pair<LogFile::News, std::string>> told;
    for (LogFile* one : {&service_, &access_, &error_}) {
      auto news = one->take_news();
      if (!news) continue;
      const auto same =
          std::find_if(told.begin(), told.end(), [&](const auto& t) { return t.first.text == news->text; });
      if (same == told.end())
        told.emplace_back(std::move(*news), one->path());
      else
        same->second += ", " + std::filesystem::path(one->path()).filename().string();
    }
    for (const auto& [news, paths] : told) log_message(news.level, str("log ", paths, ": ", news.text));
  }

  void look_at_disk() {
    const auto now = std::chrono::steady_clock::now();
    if (disk_size_ > 0 && now < next_look_) return;
    next_look_ = now + kDiskInterval;
    struct statvfs disk {};
    if (::statvfs(folder_.empty() ? "." : folder_.c_str(), &disk) != 0) return;
    disk_free_ = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
    disk_size_ = static_cast<uint64_t>(disk.f_blocks) * disk.f_frsize;
  }

  const LogFormat format_;
  const std::filesystem::path folder_;
  LogFile service_, access_, error_;
  std::chrono::steady_clock::time_point next_look_;
  std::atomic<bool> begun_{false}, reopen_{false};
  std::atomic<uint64_t> disk_free_{0}, disk_size_{0};
  std::atomic<uint64_t> service_missed_{0}, access_missed_{0}, error_missed_{0};
};

}  // namespace

// What the writing threads use, they own: see LogWriter.
class ServiceLog::Sink final : public LogSink {
 public:
  explicit Sink(const ServiceLogOptions& options)
      : json_(options.format == "json"), console_(std::make_shared<Console>(options.console, options.format)) {
    const auto tick = std::min(options.retry, std::chrono::milliseconds(kDiskInterval));
    console_writer_ = std::make_unique<LogWriter>(
        [console = console_](const std::vector<LogRecord>& records, uint64_t dropped) {
          console->write(records);
          if (dropped > 0)
            log_to_files(LogLevel::kWarning,
                         str(dropped, " lines are missing on standard error: it takes them too slowly"));
        },
        options.queue, tick);
    if (options.file.empty()) return;
    files_ = std::make_shared<LogFiles>(options);
    file_writer_ = std::make_unique<LogWriter>(
        [files = files_](const std::vector<LogRecord>& records, uint64_t dropped) {
          files->write(records);
          if (dropped > 0) log_warning(dropped, " lines are missing in the log files: the disk takes them too slowly");
        },
        options.queue, tick);
  }
  // Once it is the process' sink: what is wrong with the files is said at once.
  void start() {
    if (!file_writer_) return;
    files_->begin();
    file_writer_->wake();
  }

  void write(LogRecord record) override {
    if (!record.access) ++said_[static_cast<size_t>(record.level)];
    const bool to_console = record.to_console && (!record.access || log_enabled(record.level));
    if (file_writer_ && !file_writer_->push(record)) files_->count_dropped(record);
    if (to_console) console_writer_->push(std::move(record));
  }
  void reopen() override {
    if (!file_writer_) return;
    files_->reopen();
    file_writer_->wake();
  }
  void flush(std::chrono::milliseconds limit) noexcept override {
    if (file_writer_) file_writer_->flush(limit);
    console_writer_->flush(limit);
  }
  bool wants_members() const override { return json_; }

  void say_fatal_signal(int number) noexcept {
    if (file_writer_) file_writer_->push_fatal_signal(number);
    console_writer_->push_fatal_signal(number);
    flush(kLastWords);
  }
  void stop() {
    console_writer_->flush(kLastWords);  // what is missing there, the files say
    if (file_writer_) file_writer_->stop(kLastWords);
    console_writer_->stop(kLastWords);
  }

  LogStats stats() const {
    LogStats stats;
    for (size_t i = 0; i < kNumLevels; ++i) stats.said.push_back({static_cast<LogLevel>(i), said_[i]});
    if (files_) files_->add_stats(stats);
    stats.targets.push_back(
        {"stderr", console_->dropped() + console_writer_->dropped(), console_->failures(), console_->writable()});
    return stats;
  }

 private:
  const bool json_;
  std::array<std::atomic<uint64_t>, kNumLevels> said_{};
  std::shared_ptr<Console> console_;
  std::shared_ptr<LogFiles> files_;  // null: none
  std::unique_ptr<LogWriter> console_writer_, file_writer_;
};

ServiceLog::ServiceLog(const ServiceLogOptions& options) : sink_(std::make_shared<Sink>(options)) {
  set_log_sink(sink_);
  sink_->start();
  on_fatal_signal([sink = sink_.get()](int number) { sink->say_fatal_signal(number); });
}

ServiceLog::~ServiceLog() {
  on_fatal_signal({});
  sink_->stop();  // while it is the sink: what the writing itself has to say goes to standard error, too
  set_log_sink(nullptr);
}

LogStats ServiceLog::stats() const { return sink_->stats(); }

std::string service_log_path(const std::string& configured) {
  if (configured == "none") return "";
  std::error_code ignored;
  if (configured.empty() || configured == kGuidesFile)
    return std::filesystem::is_directory(kGuidesFolder, ignored) ? kGuidesFile : "";
  return std::filesystem::is_directory(configured, ignored) ? configured + "/service.log" : configured;
}

}  // namespace qwen
