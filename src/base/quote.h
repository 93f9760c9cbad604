// Text from a foreign file or request as it may stand in a one-line message: in double quotes, control characters and
// invalid UTF-8 escaped, cut after about 100 bytes.
#pragma once

#include <string>
#include <string_view>

namespace qwen {

std::string quote(std::string_view foreign);

// Control characters and bytes that are no UTF-8 as \xNN, what else could end a line or turn its direction as \uNNNN:
// one message stays one line, on a terminal, too.
std::string escape_controls(std::string_view text);

}  // namespace qwen
