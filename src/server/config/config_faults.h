// What is wrong with a configuration. A service that starts ends with the first fault; whoever checks a configuration
// wants all of them in one go. Functions take a ConfigFaults for that, null where the first one is to be thrown.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace qwen {

class ConfigFaults {
 public:
  static constexpr size_t kMost = 500;  // who has more begins elsewhere

  void add(const Error& error) {
    if (all_.size() < kMost)
      all_.push_back(error);
    else
      cut_ = true;
  }
  const std::vector<Error>& all() const { return all_; }

  // A source is not known to its end, so that a setting which seems absent may stand there.
  void source_is_cut() { cut_ = true; }

  // Whether one of these settings (ConfigKey::name) is not what somebody wrote: what they are together is unknown.
  bool unknown(std::initializer_list<std::string_view> settings) const {
    return cut_ || std::any_of(all_.begin(), all_.end(), [&](const Error& error) {
             return std::find(settings.begin(), settings.end(), error.param()) != settings.end();
           });
  }

 private:
  std::vector<Error> all_;
  bool cut_ = false;
};

// Runs `step`; an Error of it is thrown on where `faults` is null, and kept otherwise.
template <typename Step>
void attempt(ConfigFaults* faults, Step&& step) {
  if (faults == nullptr) return step();
  try {
    step();
  } catch (const Error& error) {
    faults->add(error);
  }
}

// The same for what holds between `settings`; not run where one of them is at fault already.
template <typename Step>
void attempt(ConfigFaults* faults, std::initializer_list<std::string_view> settings, Step&& step) {
  if (faults == nullptr || !faults->unknown(settings)) attempt(faults, step);
}

}  // namespace qwen
