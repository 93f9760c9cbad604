#include "server/http/certificate_watch.h"

#include <sys/stat.h>

#include "base/error.h"
#include "base/log.h"

namespace qwen {

CertificateWatch::CertificateWatch(std::shared_ptr<TlsContext> tls, std::chrono::milliseconds between_looks)
    : tls_(std::move(tls)), used_(stamps()), last_(used_), thread_([this, between_looks] { run(between_looks); }) {}

CertificateWatch::~CertificateWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

std::vector<CertificateWatch::Stamp> CertificateWatch::stamps() const {
  std::vector<Stamp> result;
  for (const std::string& file : {tls_->cert_file(), tls_->key_file()}) {
    struct stat info {};
    Stamp stamp{};
    if (::stat(file.c_str(), &info) == 0)
      stamp = {info.st_dev, info.st_ino, info.st_size,
               info.st_mtim.tv_sec * int64_t{1'000'000'000} + info.st_mtim.tv_nsec};
    result.push_back(stamp);
  }
  return result;
}

void CertificateWatch::run(std::chrono::milliseconds between_looks) {
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, between_looks, [this] { return stopping_; })) {
    auto now = stamps();
    const bool still = now == last_;
    last_ = std::move(now);
    if (still && last_ != used_) read_again();
  }
}

void CertificateWatch::reload() {
  const std::lock_guard lock(mutex_);
  last_ = stamps();
  read_again();
}

void CertificateWatch::read_again() {
  used_ = last_;
  try {
    tls_->reload();
    log_info("certificate read again: ", tls_->cert_file());
  } catch (const std::exception& error) {
    log_error("the certificate in use stays: ", error.what());
  }
}

}  // namespace qwen
