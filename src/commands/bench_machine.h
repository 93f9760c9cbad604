// Where and when a measurement was taken, and what it took of memory: what has to stand beside its figures.
#pragma once

#include <cstdint>
#include <string>

namespace qwen {

std::string cpu_model(const std::string& root = {});  // as /proc/cpuinfo names it; "unknown CPU" where it does not
std::string utc_now();                                // "2026-11-23T11:51:31Z"
int64_t peak_resident_bytes();                        // of this process so far; 0 = unknown

}  // namespace qwen
