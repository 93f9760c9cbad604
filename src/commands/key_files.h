// Plain API keys in a file that everybody on the machine may read.
#pragma once

#include "server/config.h"

namespace qwen {

// One warning for such a file; none where the keys are digests, come from the environment or nobody else may read them.
void warn_of_readable_keys(const EffectiveConfig& effective);

}  // namespace qwen
