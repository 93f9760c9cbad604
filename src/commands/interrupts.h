// Ctrl-C as an event that cannot be lost: whichever thread the signal finds, and whether it comes before a wait or
// within it, the descriptor is readable until take().
#pragma once

namespace qwen {

class Interrupts {
 public:
  Interrupts();  // takes over SIGINT. Errors: kOs
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  void restore();     // the default action from here on: Ctrl-C ends the process
  bool take() const;  // there was one, or several, since the last call
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

}  // namespace qwen
