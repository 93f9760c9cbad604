// Where and when a measurement was taken, what it took of memory, and whether it was alone: what has to stand beside
// its figures.
#pragma once

#include <cstdint>
#include <string>

namespace qwen {

std::string cpu_model(const std::string& root = {});  // as /proc/cpuinfo names it; "unknown CPU" where it does not
std::string utc_now();                                // "2026-11-23T11:51:31Z"
int64_t peak_resident_bytes();                        // of this process so far; 0 = unknown

// How much the processors have worked, in seconds of one of them; zeros where the kernel does not tell.
struct ProcessorTime {
  double elapsed = 0;  // of all of them, idle ones too
  double busy = 0;     // for anyone; what a hypervisor gave to other guests counts
  double own = 0;      // for this process
};
ProcessorTime processor_time();
// The share of the machine that others took in between, 0…1. Exact to 10 ms of a processor.
double other_load(const ProcessorTime& before, const ProcessorTime& after);

}  // namespace qwen
