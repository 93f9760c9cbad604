// Whose word about the client's address is believed: a proxy's that the configuration names, nobody's else. For access
// lines; connections are counted by the address that they come from.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/headers.h"

namespace qwen {

class TrustedProxies {
 public:
  TrustedProxies() = default;  // nobody
  // Addresses and networks ("172.20.0.0/16", "fd00::/8"), each as is_network takes it.
  explicit TrustedProxies(const std::vector<std::string>& networks);

  bool empty() const { return networks_.empty(); }

  // The client behind `peer`: of X-Forwarded-For the last address that is no trusted proxy's, else X-Real-IP; `peer`
  // where it is not trusted or says nothing that is an address.
  std::string client(const std::string& peer, const Headers& headers) const;

 private:
  struct Network {
    std::array<unsigned char, 16> address;  // IPv4 as ::ffff:a.b.c.d
    int bits;
  };
  bool trusted(std::string_view address) const;
  static bool parse(std::string_view text, Network& network);
  friend bool is_network(std::string_view text);

  std::vector<Network> networks_;
};

bool is_network(std::string_view text);

}  // namespace qwen
