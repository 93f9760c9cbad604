// The one error shape of every route, {"error":{message,type,param,code}}, and the one table from a cause to its status
// and code.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "server/http/response.h"

namespace qwen {

class JsonWriter;

struct ApiError {
  int status = 500;
  std::string code = "internal_error";
  std::string message;  // fixed text, numbers and field names; at most 1 KiB leaves the server
  std::string param = {};
  int retry_after_seconds = 0;                                  // 1…60 also sends Retry-After and retry-after-ms
  std::string allow = {};                                       // methods, for 405
  std::vector<std::pair<std::string, long long>> numbers = {};  // further members of the object, e.g. n_prompt_tokens
  Shortage shortage = Shortage::kNone;                          // not told to the client
};

// What the client gets for an exception; anything that is not an Error is a 500 with a text that reveals nothing.
ApiError to_api_error(std::exception_ptr error, std::string_view request_id);

ApiError overloaded(std::string message, Shortage shortage);

std::string_view error_type(int status);                    // invalid_request_error, server_error, …
void write_error(JsonWriter& json, const ApiError& error);  // the member "error" of an open object
std::string error_json(const ApiError& error);              // the whole object
Response error_response(const ApiError& error);

}  // namespace qwen
