// Texts in Prometheus' exposition format 0.0.4, one from each process of a service, joined into one for the whole.
// Counters and histograms are sums. A gauge is told for each worker, with the label `worker`, unless it is known to add
// up, to be the same everywhere, or to be of the whole service: a gauge that nobody thought of is never wrong.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace qwen {

struct Exposition {
  enum class Source { kWorker, kSupervisor, kEnded };
  Source source = Source::kWorker;
  std::string worker;     // the label's value
  std::string_view text;  // of our own making: a line that is none is left out
};

// Families and series stand in the order in which they first appear. Of a process that has ended (kEnded), only what
// never goes down counts: its counters and histograms.
std::string join_expositions(std::span<const Exposition> parts);

}  // namespace qwen
