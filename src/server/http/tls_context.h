// Certificate and key of the HTTPS ports, and how TLS is spoken: 1.2 and 1.3, forward secrecy with authenticated
// encryption alone, no compression, no renegotiation. Sessions are not resumed: a ticket key that lives as long as the
// process would open every recorded connection to whoever finds it, and clients keep their connections anyway.
#pragma once

#include <atomic>
#include <cstdint>
#include <ctime>
#include <memory>
#include <mutex>
#include <string>

#include "server/http/tls_files.h"

namespace boost::asio::ssl {
class context;
}

namespace qwen {

class TlsContext {
 public:
  // PEM files: the certificate with its chain, and its private key. Errors: kConfig, one line that names the file: it
  // is missing, is no PEM, is encrypted, has expired, does not belong to the other.
  TlsContext(std::string cert_file, std::string key_file);
  explicit TlsContext(const TlsPair& pair);  // of another process that serves the same port, see use_tls_pair

  // Reads the files again; connections that are open keep what they have. Errors: as above, and the old pair stays.
  void reload();
  void use(const TlsPair& pair);
  TlsPair pair() const;  // in use
  // Goes up whenever another pair is in use.
  uint64_t version() const { return version_; }

  std::shared_ptr<boost::asio::ssl::context> current() const;  // for the next connection; any thread
  std::time_t expires() const;                                 // the certificate in use
  const std::string& cert_file() const { return cert_file_; }
  const std::string& key_file() const { return key_file_; }

 private:
  struct Pair {
    std::shared_ptr<boost::asio::ssl::context> context;
    std::time_t expires = 0;
  };
  Pair load() const;
  static Pair taken_over(const TlsPair& pair);
  void set(Pair next);

  const std::string cert_file_, key_file_;
  mutable std::mutex mutex_;
  Pair pair_;  // guarded by mutex_
  std::atomic<uint64_t> version_{1};
};

}  // namespace qwen
