// How many cores this process may keep busy.
#pragma once

namespace qwen {

// Physical cores (hardware threads of one core count once) in the affinity mask, at most the cgroup's CPU quota rounded
// up; ≥ 1.
int usable_cores();

}  // namespace qwen
