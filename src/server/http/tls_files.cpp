#include "server/http/tls_files.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <memory>

#include "base/error.h"
#include "base/log.h"
#include "base/mapped_file.h"
#include "base/quote.h"

namespace qwen {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;

struct Free {
  void operator()(BIO* bio) const { ::BIO_free(bio); }
  void operator()(X509* certificate) const { ::X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { ::EVP_PKEY_free(key); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

Error wrong(const std::string& file, const std::string& problem) {
  ::ERR_clear_error();
  return {ErrorCode::kConfig, str(file, ": ", problem), "ssl_config"};
}

// What OpenSSL says last, without codes and source files.
std::string reason() {
  const char* text = ::ERR_reason_error_string(::ERR_peek_last_error());
  return text == nullptr ? "it is damaged" : text;
}

std::string read(const std::string& file) {
  try {
    return read_text_file(file, kMaxFileBytes);
  } catch (const Error& error) {
    throw Error(ErrorCode::kConfig, error.what(), "ssl_config");
  }
}

Owned<BIO> memory(const std::string& text) {
  return Owned<BIO>(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

struct SecretText {
  ~SecretText() { ::OPENSSL_cleanse(text.data(), text.size()); }
  std::string text;
};

// OpenSSL asks the terminal for a password unless it is told something else.
int no_password(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

std::time_t time_of(const ASN1_TIME* time) {
  std::tm utc{};
  return ::ASN1_TIME_to_tm(time, &utc) == 1 ? ::timegm(&utc) : 0;
}

std::string date(const ASN1_TIME* time) {
  const std::time_t at = time_of(time);
  std::tm utc{};
  char text[32];
  ::gmtime_r(&at, &utc);
  std::strftime(text, sizeof text, "%Y-%m-%d", &utc);
  return text;
}

void check_dates(const X509* certificate, const std::string& file) {
  const ASN1_TIME *from = ::X509_get0_notBefore(certificate), *to = ::X509_get0_notAfter(certificate);
  if (::X509_cmp_current_time(to) < 0) throw wrong(file, str("the certificate expired on ", date(to), "; renew it"));
  if (::X509_cmp_current_time(from) > 0)
    throw wrong(file, str("the certificate is not valid before ", date(from), "; look at the machine's clock"));
}

enum class Dates { kChecked, kAny };

std::time_t use_certificates(SSL_CTX* context, const std::string& text, const std::string& file, Dates dates) {
  const Owned<BIO> bio = memory(text);
  bool asked = false;
  const Owned<X509> certificate(::PEM_read_bio_X509_AUX(bio.get(), nullptr, no_password, &asked));
  if (!certificate) throw wrong(file, "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
  if (dates == Dates::kChecked) check_dates(certificate.get(), file);
  if (::SSL_CTX_use_certificate(context, certificate.get()) != 1)
    throw wrong(file, str("the certificate cannot be used: ", reason()));
  while (true) {
    Owned<X509> issuer(::PEM_read_bio_X509(bio.get(), nullptr, no_password, &asked));
    if (!issuer) break;
    if (::SSL_CTX_add0_chain_cert(context, issuer.get()) != 1)
      throw wrong(file, str("a certificate of the chain cannot be used: ", reason()));
    static_cast<void>(issuer.release());  // the context's now
  }
  if (ERR_GET_REASON(::ERR_peek_last_error()) != PEM_R_NO_START_LINE)
    throw wrong(file, "a certificate of the chain is damaged");
  ::ERR_clear_error();
  return time_of(::X509_get0_notAfter(certificate.get()));
}

void use_key(SSL_CTX* context, const std::string& text, const std::string& file, const std::string& cert_file) {
  const Owned<BIO> bio = memory(text);
  bool asked = false;
  const Owned<EVP_PKEY> key(::PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, &asked));
  if (asked) throw wrong(file, "the key is encrypted; write it without its password: openssl pkey -in OLD -out NEW");
  if (!key) throw wrong(file, "holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)");
  if (::X509_check_private_key(::SSL_CTX_get0_certificate(context), key.get()) != 1)
    throw wrong(file, str("is not the key of the certificate in ", cert_file));
  if (::SSL_CTX_use_PrivateKey(context, key.get()) != 1) throw wrong(file, str("the key cannot be used: ", reason()));
}

void warn_of_readers(const std::string& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) == 0 && (info.st_mode & S_IROTH) != 0)
    log_warning(escape_controls(file), ": everybody on this machine may read the private key; chmod o-r");
}

}  // namespace

std::time_t use_tls_files(SSL_CTX* context, const std::string& cert_file, const std::string& key_file) {
  ::ERR_clear_error();
  const std::time_t expires = use_certificates(context, read(cert_file), cert_file, Dates::kChecked);
  SecretText key{read(key_file)};
  use_key(context, key.text, key_file, cert_file);
  warn_of_readers(key_file);
  return expires;
}

TlsPair tls_pair_of(SSL_CTX* context) {
  const Owned<BIO> certificates(::BIO_new(::BIO_s_mem())), key(::BIO_new(::BIO_s_secmem()));
  STACK_OF(X509)* chain = nullptr;
  bool written = certificates && key && ::SSL_CTX_get0_chain_certs(context, &chain) == 1 &&
                 ::PEM_write_bio_X509(certificates.get(), ::SSL_CTX_get0_certificate(context)) == 1;
  for (int i = 0; written && i < sk_X509_num(chain); ++i)
    written = ::PEM_write_bio_X509(certificates.get(), sk_X509_value(chain, i)) == 1;
  written = written && ::PEM_write_bio_PrivateKey(key.get(), ::SSL_CTX_get0_privatekey(context), nullptr, nullptr, 0,
                                                  nullptr, nullptr) == 1;
  if (!written) throw wrong("the certificate in use", str("cannot be written: ", reason()));
  return {text_of(certificates.get()), text_of(key.get())};
}

std::time_t use_tls_pair(SSL_CTX* context, const TlsPair& pair) {
  ::ERR_clear_error();
  const std::string name = "the certificate in use";
  const std::time_t expires = use_certificates(context, pair.certificates, name, Dates::kAny);
  use_key(context, pair.key, "its key", name);
  return expires;
}

}  // namespace qwen
