#include "server/api/errors.h"

#include <algorithm>

#include "base/log.h"
#include "server/api/json_writer.h"
#include "server/request_error.h"

namespace qwen {
namespace {

constexpr size_t kMaxMessageBytes = 900;
constexpr int kOverloadRetrySeconds = 1, kLoadingRetrySeconds = 5;

struct Row {
  ErrorCode cause;
  int status;
  const char* code;
  int retry_after_seconds;
};
constexpr Row kTable[] = {
    {ErrorCode::kInvalidValue, 400, "invalid_value", 0},
    {ErrorCode::kUnknownField, 400, "unknown_parameter", 0},
    {ErrorCode::kContextLengthExceeded, 400, "context_length_exceeded", 0},
    {ErrorCode::kNotFound, 404, "not_found", 0},
    {ErrorCode::kTooLarge, 413, "request_too_large", 0},
    {ErrorCode::kOverloaded, 503, "server_overloaded", kOverloadRetrySeconds},
    {ErrorCode::kLoading, 503, "loading", kLoadingRetrySeconds},
    {ErrorCode::kDraining, 503, "draining", kOverloadRetrySeconds},
    {ErrorCode::kDeadlineExceeded, 504, "deadline_exceeded", 0},
    {ErrorCode::kTemporary, 503, "unhealthy", kLoadingRetrySeconds},
};

ApiError internal_error(const char* what, std::string_view request_id) {
  log_error("request ", request_id, " failed: ", what);
  return {.status = 500, .code = "internal_error", .message = str("internal error; request id ", request_id)};
}

ApiError from_error(const Error& error, std::string_view request_id) {
  const auto row =
      std::find_if(std::begin(kTable), std::end(kTable), [&](const Row& r) { return r.cause == error.code(); });
  if (row == std::end(kTable)) return internal_error(error.what(), request_id);
  ApiError result{.status = row->status,
                  .code = row->code,
                  .message = error.what(),
                  .param = error.param(),
                  .retry_after_seconds = row->retry_after_seconds};
  if (dynamic_cast<const UnsupportedError*>(&error)) result.code = "unsupported_parameter";
  if (error.code() == ErrorCode::kNotFound && error.param() == "model") result.code = "model_not_found";
  if (error.code() == ErrorCode::kOverloaded) result.shortage = Shortage::kQueue;
  if (const auto* too_long = dynamic_cast<const ContextLengthError*>(&error))
    result.numbers = {{"n_prompt_tokens", too_long->prompt_tokens}, {"n_ctx", too_long->context_length}};
  return result;
}

}  // namespace

ApiError to_api_error(std::exception_ptr error, std::string_view request_id) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& e) {
    return from_error(e, request_id);
  } catch (const std::exception& e) {
    return internal_error(e.what(), request_id);
  } catch (...) {
    return internal_error("unknown exception", request_id);
  }
}

ApiError overloaded(std::string message, Shortage shortage) {
  return {.status = 503,
          .code = "server_overloaded",
          .message = std::move(message),
          .retry_after_seconds = kOverloadRetrySeconds,
          .shortage = shortage};
}

std::string_view error_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 408:
      return "timeout_error";
    case 429:
      return "rate_limit_error";
    default:
      return status >= 500 && status != 501 && status != 505 ? "server_error" : "invalid_request_error";
  }
}

void write_error(JsonWriter& json, const ApiError& error) {
  json.key("error").begin_object();
  json.field("message", std::string_view(error.message).substr(0, kMaxMessageBytes));
  json.field("type", error_type(error.status));
  if (error.param.empty())
    json.key("param").null();
  else
    json.field("param", error.param);
  json.field("code", error.code);
  for (const auto& [name, number] : error.numbers) json.field(name, number);
  json.end_object();
}

std::string error_json(const ApiError& error) {
  JsonWriter json;
  json.begin_object();
  write_error(json, error);
  json.end_object();
  return json.take();
}

Response error_response(const ApiError& error) {
  Response response{.status = error.status, .body = error_json(error), .code = error.code, .shortage = error.shortage};
  if (error.retry_after_seconds > 0) {
    response.headers.push_back({"Retry-After", std::to_string(error.retry_after_seconds)});
    response.headers.push_back({"retry-after-ms", std::to_string(error.retry_after_seconds * 1000)});
  }
  if (!error.allow.empty()) response.headers.push_back({"Allow", error.allow});
  if (error.status == 401) response.headers.push_back({"WWW-Authenticate", "Bearer realm=\"qwen-thinking\""});
  return response;
}

}  // namespace qwen
