// Has the certificate and its key read again when their files change, as whoever renews certificates replaces them:
// once nothing has changed between two looks, so that no half of a pair is read. A pair that is wrong is said once and
// the old one stays.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "server/http/tls_context.h"

namespace qwen {

class CertificateWatch {
 public:
  static constexpr std::chrono::milliseconds kBetweenLooks{1000};

  explicit CertificateWatch(std::shared_ptr<TlsContext> tls, std::chrono::milliseconds between_looks = kBetweenLooks);
  ~CertificateWatch();
  CertificateWatch(const CertificateWatch&) = delete;
  CertificateWatch& operator=(const CertificateWatch&) = delete;

  void reload();  // at once, and says so; any thread

 private:
  using Stamp = std::tuple<uint64_t, uint64_t, int64_t, int64_t>;  // device, inode, size, modification time in ns
  std::vector<Stamp> stamps() const;
  void run(std::chrono::milliseconds between_looks);
  void read_again();

  const std::shared_ptr<TlsContext> tls_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;  // guarded by mutex_, as what follows
  std::vector<Stamp> used_, last_;
  std::thread thread_;
};

}  // namespace qwen
