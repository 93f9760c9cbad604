#include "server/http/tls_context.h"

#include <boost/asio/ssl/context.hpp>

#include "base/error.h"

namespace qwen {
namespace {

namespace ssl = boost::asio::ssl;

// TLS 1.2: ephemeral keys and AEAD. TLS 1.3 has nothing else.
constexpr const char* kCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kGroups = "X25519:P-256:P-384";
constexpr unsigned char kProtocol[] = "\x08http/1.1";

int choose_protocol(::SSL*, const unsigned char** chosen, unsigned char* length, const unsigned char* offered,
                    unsigned int offered_length, void*) {
  unsigned char* found = nullptr;
  if (::SSL_select_next_proto(&found, length, kProtocol, sizeof kProtocol - 1, offered, offered_length) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

void set_policy(::SSL_CTX* context) {
  const bool taken = ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
                     ::SSL_CTX_set_cipher_list(context, kCiphers) == 1 &&
                     ::SSL_CTX_set1_groups_list(context, kGroups) == 1;
  QWEN_CHECK(taken);
  ::SSL_CTX_set_security_level(context, 2);
  ::SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_TICKET);
  ::SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  ::SSL_CTX_set_num_tickets(context, 0);
  ::SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  ::SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
}

std::shared_ptr<ssl::context> new_context() {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  set_policy(context->native_handle());
  return context;
}

}  // namespace

TlsContext::TlsContext(std::string cert_file, std::string key_file)
    : cert_file_(std::move(cert_file)), key_file_(std::move(key_file)), pair_(load()) {}

TlsContext::TlsContext(const TlsPair& pair) : pair_(taken_over(pair)) {}

TlsContext::Pair TlsContext::load() const {
  auto context = new_context();
  const std::time_t expires = use_tls_files(context->native_handle(), cert_file_, key_file_);
  return {std::move(context), expires};
}

TlsContext::Pair TlsContext::taken_over(const TlsPair& pair) {
  auto context = new_context();
  const std::time_t expires = use_tls_pair(context->native_handle(), pair);
  return {std::move(context), expires};
}

void TlsContext::reload() { set(load()); }
void TlsContext::use(const TlsPair& pair) { set(taken_over(pair)); }

void TlsContext::set(Pair next) {
  const std::lock_guard lock(mutex_);
  pair_ = std::move(next);
  ++version_;
}

TlsPair TlsContext::pair() const { return tls_pair_of(current()->native_handle()); }

std::shared_ptr<ssl::context> TlsContext::current() const {
  const std::lock_guard lock(mutex_);
  return pair_.context;
}

std::time_t TlsContext::expires() const {
  const std::lock_guard lock(mutex_);
  return pair_.expires;
}

}  // namespace qwen
