// A request's line: of access.log and, from INFO on, of standard error. The response time stands last, in seconds, as a
// plain number: `awk '{print $NF}' | sort -n` puts the lines in its order.
//   POST /generate status 200 id r-1 client ::1 bytes 512 prompt_tokens 9 completion_tokens 40 response_time 0.123456
// The code of an error stands after the status; prompt_tokens and completion_tokens only where something was generated
// to its end, and only what was. Answers out of the response cache have "cache hit cache_tokens 49" instead, prompt and
// answer together; "cache joined" where one was read along with an equal request, "cache partial" and both kinds of
// tokens where a part of the answers was generated.
#pragma once

#include <string>

#include "server/http/connection.h"

namespace qwen {

std::string access_line(const AccessRecord& record);
std::string access_members(const AccessRecord& record);  // the same as members of a JSON object

void write_access_log(const AccessRecord& record);

}  // namespace qwen
