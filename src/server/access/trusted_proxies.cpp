#include "server/access/trusted_proxies.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace qwen {
namespace {

// IPv4 as the IPv6 address that maps it. False for anything else than an address.
bool parse_address(std::string_view text, std::array<unsigned char, 16>& out, bool& v4) {
  const std::string copy(text);
  if (copy.size() > INET6_ADDRSTRLEN || copy.find('\0') != copy.npos) return false;
  in_addr four{};
  v4 = ::inet_pton(AF_INET, copy.c_str(), &four) == 1;
  if (!v4) return ::inet_pton(AF_INET6, copy.c_str(), out.data()) == 1;
  out = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  std::memcpy(out.data() + 12, &four, 4);
  return true;
}

}  // namespace

bool TrustedProxies::parse(std::string_view text, Network& network) {
  const size_t slash = text.find('/');
  bool v4 = false;
  if (!parse_address(text.substr(0, slash), network.address, v4)) return false;
  const int most = v4 ? 32 : 128;
  int bits = most;
  if (slash != text.npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (error != std::errc() || stop != digits.data() + digits.size() || bits < 0 || bits > most) return false;
  }
  network.bits = bits + 128 - most;
  return true;
}

bool is_network(std::string_view text) {
  TrustedProxies::Network ignored{};
  return TrustedProxies::parse(text, ignored);
}

TrustedProxies::TrustedProxies(const std::vector<std::string>& networks) {
  for (const std::string& text : networks)
    if (Network network{}; parse(text, network)) networks_.push_back(network);
}

bool TrustedProxies::trusted(std::string_view text) const {
  Network host{};
  if (text.find('/') != text.npos || !parse(text, host)) return false;
  return std::any_of(networks_.begin(), networks_.end(), [&](const Network& network) {
    for (int bit = 0; bit < network.bits; bit += 8) {
      const int left = std::min(8, network.bits - bit);
      const unsigned mask = (0xffu << (8 - left)) & 0xffu;
      const auto at = static_cast<size_t>(bit / 8);
      if ((network.address[at] ^ host.address[at]) & mask) return false;
    }
    return true;
  });
}

std::string TrustedProxies::client(const std::string& peer, const Headers& headers) const {
  if (networks_.empty() || !trusted(peer)) return peer;
  std::string chain;  // several fields are one list
  for (const Header& header : headers)
    if (iequals(header.name, "x-forwarded-for")) chain += (chain.empty() ? "" : ",") + header.value;
  std::string_view rest = chain;
  std::string first_known;
  while (!rest.empty()) {
    const size_t comma = rest.rfind(',');
    const std::string_view one = trim_spaces(comma == rest.npos ? rest : rest.substr(comma + 1));
    rest = comma == rest.npos ? std::string_view() : rest.substr(0, comma);
    if (one.find('/') != one.npos || !is_network(one)) break;  // what stands before it is nobody's word
    first_known = one;
    if (!trusted(one)) break;
  }
  if (!first_known.empty()) return first_known;
  const auto real = find_header(headers, "x-real-ip");
  return real && real->find('/') == real->npos && is_network(*real) ? std::string(*real) : peer;
}

}  // namespace qwen
