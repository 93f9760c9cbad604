// Certificate and private key from PEM files into a TLS context, every way in which they can be wrong told apart; and
// out of it, for another process.
#pragma once

#include <ctime>
#include <string>

struct ssl_ctx_st;  // OpenSSL's SSL_CTX

namespace qwen {

// Returns when the certificate expires. A key file that others may read is warned of. Errors: kConfig naming file and
// mend; nothing of a key is in a message.
std::time_t use_tls_files(ssl_ctx_st* context, const std::string& cert_file, const std::string& key_file);

struct TlsPair {
  std::string certificates, key;  // PEM; the key is secret
};
TlsPair tls_pair_of(ssl_ctx_st* context);  // what it uses
// The same for a pair that is in use elsewhere: also one that has expired meanwhile is used. Errors: kConfig.
std::time_t use_tls_pair(ssl_ctx_st* context, const TlsPair& pair);

}  // namespace qwen
