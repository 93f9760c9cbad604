// See logit_agreement.h.
#include "commands/logit_agreement.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace qwen {
namespace {

ptrdiff_t likeliest(std::span<const float> row) { return std::max_element(row.begin(), row.end()) - row.begin(); }

double log_sum_exp(std::span<const float> row) {
  const double largest = row[static_cast<size_t>(likeliest(row))];
  double sum = 0;
  for (const float value : row) sum += std::exp(double{value} - largest);
  return largest + std::log(sum);
}

}  // namespace

void AgreementMeter::add(std::span<const float> reference, std::span<const float> other) {
  QWEN_CHECK(!reference.empty() && reference.size() == other.size());
  const double reference_log = log_sum_exp(reference), other_log = log_sum_exp(other);
  double kl = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double log_p = double{reference[i]} - reference_log, log_q = double{other[i]} - other_log;
    kl += std::exp(log_p) * (log_p - log_q);
  }
  ++positions_;
  same_ += likeliest(reference) == likeliest(other);
  sum_ += kl;
  squares_ += kl * kl;
}

LogitAgreement AgreementMeter::result() const {
  LogitAgreement result{.positions = positions_};
  if (positions_ == 0) return result;
  const double n = static_cast<double>(positions_);
  result.mean_kl = sum_ / n;
  result.top1 = static_cast<double>(same_) / n;
  if (positions_ > 1)
    result.standard_error = std::sqrt(std::max(0.0, squares_ / n - result.mean_kl * result.mean_kl) / (n - 1));
  return result;
}

}  // namespace qwen
