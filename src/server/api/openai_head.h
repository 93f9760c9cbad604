// What the answers of chat and of text completions have in common: the members that all events of one completion
// repeat, the reason for an end, the usage.
#pragma once

#include <cstdint>
#include <string>

#include "server/api/json_writer.h"
#include "server/text_stream.h"

namespace qwen {

struct ModelInfo;

struct OpenAiHead {
  std::string id, model, fingerprint;
  int64_t created = 0;  // seconds since 1970
};

// A new completion, now; `id_prefix` is "chatcmpl-" or "cmpl-".
OpenAiHead new_openai_head(const std::string& id_prefix, const ModelInfo& model);
void write_openai_head(JsonWriter& json, const OpenAiHead& head, const char* object);

// How a choice ends: "finish_reason", "stop_reason" and, where a time limit cut it, "timed_out":true; or a
// "finish_reason" of null while it goes on.
void write_no_end(JsonWriter& json);
void write_end(JsonWriter& json, const Completion& completion);

// The member "usage". Each prompt has `choices_per_prompt` streams in a row and counts once.
void write_usage(JsonWriter& json, const TextStreams& streams, size_t choices_per_prompt);

}  // namespace qwen
