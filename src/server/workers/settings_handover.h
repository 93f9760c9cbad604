// What a worker gets of the configuration: not files and variables as they are when it starts, but every value that its
// supervisor has accepted, with its origin, and the certificate in use. So all processes of a service have the same
// settings whenever each of them was started.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "server/config.h"

namespace qwen {

// Of `effective`, values and origins are read. Secret.
std::string spell_settings(const EffectiveConfig& effective, const std::optional<TlsPair>& certificate);

// Errors: kInternal for what another version of the program has spelled.
EffectiveConfig read_settings(std::string_view text);

}  // namespace qwen
