// Transfers by the curl program, which knows TLS, proxies and redirections. Everything that it is told goes through its
// standard input, so that no token shows in a list of processes.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace qwen {

struct CurlResult {
  int exit_status = 0;  // curl's: 0 done, 18 broken off, 22 an HTTP error, 33 no ranges, …
  int http_status = 0;  // 0 where there was no answer
  std::string message;  // in curl's words, one line
};

// A long option of curl without its dashes, and its value; an empty value is a switch.
using CurlOptions = std::vector<std::pair<std::string, std::string>>;

// Runs it to its end. `go_on` is asked several times a second, and false ends curl. Errors: kFailed where there is no
// curl, kOs.
CurlResult run_curl(const CurlOptions& options, const std::function<bool()>& go_on);

}  // namespace qwen
