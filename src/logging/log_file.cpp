#include "logging/log_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/error.h"

namespace qwen {
namespace {

constexpr mode_t kFileMode = 0644, kFolderMode = 0755;  // less what the process' umask takes
constexpr size_t kMaxWrite = 256 * 1024;

std::string numbered(const std::string& path, int number) { return path + '.' + std::to_string(number); }

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

uint64_t count_lines(std::string_view text) {
  return static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

LogFile::LogFile(LogFileOptions options) : options_(std::move(options)) {}

void LogFile::reopen() {
  reopen_ = true;
  retry_at_ = rotate_at_ = {};
}

std::optional<LogFile::News> LogFile::take_news() { return std::exchange(news_, std::nullopt); }

void LogFile::append(std::string_view lines) {
  pending_ += lines;
  if ((failing_ && Clock::now() < retry_at_) || !prepare()) return trim();
  bool bounded = options_.max_bytes > 0 && options_.backup_count > 0 && Clock::now() >= rotate_at_;
  while (!pending_.empty()) {
    if (const size_t bytes = portion(bounded); bytes > 0) {
      if (!write_some(bytes)) return trim();
    } else {
      const Rotation rotation = rotate();
      if (rotation == Rotation::kFailed) return trim();
      bounded = rotation == Rotation::kDone;
    }
  }
  if (!failing_) return;
  failing_ = false;
  const uint64_t lost = dropped_ - dropped_before_;
  news_ = {LogLevel::kInfo, str("is written again, ", lost, lost == 1 ? " line was" : " lines were", " lost")};
}

// The file under the path is open, and not what it was renamed to.
bool LogFile::prepare() {
  if (file_.valid() && (std::exchange(reopen_, false) || !still_there())) file_.close();
  return file_.valid() || open();
}

bool LogFile::still_there() const {
  struct stat named {
  }, opened{};
  return ::stat(options_.path.c_str(), &named) == 0 && ::fstat(file_.get(), &opened) == 0 &&
         named.st_ino == opened.st_ino && named.st_dev == opened.st_dev;
}

bool LogFile::open() {
  reopen_ = false;
  ::mkdir(folder_of(options_.path).c_str(), kFolderMode);
  // A pipe or a device could keep this thread for ever, and opening it may do something.
  struct stat info {};
  if (::stat(options_.path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    fail("is no regular file", 0);
    return false;
  }
  file_ = FileDescriptor(
      ::open(options_.path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, kFileMode));
  if (!file_.valid() || ::fstat(file_.get(), &info) != 0) {
    fail("cannot be opened", errno);
    return false;
  }
  if (!S_ISREG(info.st_mode)) {
    fail("is no regular file", 0);
    return false;
  }
  size_ = static_cast<uint64_t>(info.st_size);
  // What a process that was killed left unfinished is ended.
  char last = '\n';
  if (!mid_line_ && size_ > 0 && ::pread(file_.get(), &last, 1, info.st_size - 1) == 1 && last != '\n')
    pending_.insert(0, "\n");
  return true;
}

// How much of what waits may be written: whole lines, as many as one write and the file's bound allow; 0: it is full.
size_t LogFile::portion(bool bounded) const {
  size_t most = std::min(pending_.size(), kMaxWrite);
  if (bounded) {
    const uint64_t room = size_ < options_.max_bytes ? options_.max_bytes - size_ : 0;
    most = static_cast<size_t>(std::min<uint64_t>(most, room));
    const size_t first_line = pending_.find('\n') + 1;
    if (most < first_line) return size_ == 0 ? first_line : 0;
  }
  if (most == pending_.size()) return most;
  const size_t end = pending_.rfind('\n', most == 0 ? 0 : most - 1);
  return end == std::string::npos ? pending_.find('\n') + 1 : end + 1;
}

bool LogFile::write_some(size_t bytes) {
  ssize_t written = 0;
  do {
    written = ::write(file_.get(), pending_.data(), bytes);
  } while (written < 0 && errno == EINTR);
  if (written <= 0) {
    fail("cannot be written", errno);
    return false;
  }
  const auto done = static_cast<size_t>(written);
  mid_line_ = pending_[done - 1] != '\n';
  pending_.erase(0, done);
  struct stat info {};
  size_ = ::fstat(file_.get(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : size_ + done;
  return true;
}

// The lock goes with the file that becomes path.1: whoever gets it after another has renamed that file finds a new one
// under the path.
LogFile::Rotation LogFile::rotate() {
  if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    rotate_at_ = Clock::now() + std::chrono::milliseconds(100);  // another process is at it
    return Rotation::kNot;
  }
  if (still_there() && !shift_backups()) {
    const int reason = errno;
    ::flock(file_.get(), LOCK_UN);
    ++failures_;
    rotate_at_ = Clock::now() + options_.retry;
    if (!std::exchange(grows_on_, true))
      news_ = {LogLevel::kWarning, str("cannot be rotated and grows on: ", std::strerror(reason))};
    return Rotation::kNot;
  }
  grows_on_ = false;
  file_.close();
  return open() ? Rotation::kDone : Rotation::kFailed;
}

bool LogFile::shift_backups() {
  for (int number = options_.backup_count; number > 0; --number) {
    const std::string from = number == 1 ? options_.path : numbered(options_.path, number - 1);
    if (std::rename(from.c_str(), numbered(options_.path, number).c_str()) != 0 && (errno != ENOENT || number == 1))
      return false;
  }
  return true;
}

void LogFile::fail(const char* what, int reason) {
  ++failures_;
  retry_at_ = Clock::now() + options_.retry;
  file_.close();
  if (failing_.exchange(true)) return;
  dropped_before_ = dropped_;
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(options_.retry).count();
  const std::string why = reason == 0 ? "" : str(": ", std::strerror(reason));
  news_ = {LogLevel::kWarning, str(what, why, "; the service goes on, tried again every ", seconds, " s")};
}

void LogFile::trim() {
  if (pending_.size() <= options_.max_pending_bytes) return;
  const size_t end = pending_.find('\n', pending_.size() - options_.max_pending_bytes - 1) + 1;
  dropped_ += count_lines(std::string_view(pending_).substr(0, end));
  pending_.erase(0, end);
  mid_line_ = false;  // the rest of that line is gone: open() ends it
}

}  // namespace qwen
