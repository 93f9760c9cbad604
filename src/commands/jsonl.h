// The --jsonl mode of tokenize, render and logits: one JSON object a line in, one a line out, in order. A line that
// cannot be done answers {"error":…} and the next one goes on.
#pragma once

#include <functional>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/token_id.h"

namespace qwen {

// `answer` maps one line to one line of JSON; what it throws becomes the error line. Empty lines are skipped. Returns
// the exit status: 0.
int run_jsonl(std::istream& in, std::ostream& out, const std::function<std::string(const std::string& line)>& answer);

// The same for answers too long to hold: `prepare` checks a line (what it throws becomes the error line) and returns
// what writes the answer. What that throws ends the command, for half a line has been written.
using AnswerWriter = std::function<void(std::ostream& out)>;
int stream_jsonl(std::istream& in, std::ostream& out,
                 const std::function<AnswerWriter(const std::string& line)>& prepare);

std::string error_json(std::string_view message);
std::string text_json(std::string_view text);        // {"text":…}; invalid UTF-8 becomes U+FFFD
std::string ids_json(std::span<const TokenId> ids);  // {"ids":[…]}

// Appends [v, …] with the fewest digits that read back as the same f32; what JSON cannot spell (NaN, infinities) is
// null.
void append_floats(std::string& out, std::span<const float> values);

// "1,2,3", "1 2 3" or "[1, 2, 3]". Errors: kUsage naming `flag`.
std::vector<TokenId> parse_ids(std::string_view text, std::string_view flag);

}  // namespace qwen
