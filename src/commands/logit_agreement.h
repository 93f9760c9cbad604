// How near one model's logits are to a reference's on the same tokens: what quantizing costs, before any task shows it.
#pragma once

#include <cstdint>
#include <span>

namespace qwen {

struct LogitAgreement {
  int64_t positions = 0;
  double mean_kl = 0;         // of Σ p·ln(p / q), p the reference's distribution, q the other's; in nats
  double standard_error = 0;  // of mean_kl; 0 of fewer than two positions
  double top1 = 0;            // share of positions where both think the same token likeliest (the first of equals)
};

class AgreementMeter {
 public:
  // One position's logits, of equal sizes. A row that is not finite makes mean_kl NaN.
  void add(std::span<const float> reference, std::span<const float> other);
  LogitAgreement result() const;

 private:
  int64_t positions_ = 0, same_ = 0;
  double sum_ = 0, squares_ = 0;
};

}  // namespace qwen
