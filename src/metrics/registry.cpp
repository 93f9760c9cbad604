#include "metrics/registry.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <type_traits>

#include "base/error.h"

namespace qwen {
namespace {

template <typename Impl>
prometheus::Family<Impl>& add_family(MetricRegistry& registry, std::string_view name, std::string_view help) {
  return prometheus::detail::Builder<Impl>().Name(std::string(name)).Help(std::string(help)).Register(registry.impl());
}

}  // namespace

MetricRegistry::MetricRegistry()
    : impl_(std::make_unique<prometheus::Registry>(prometheus::Registry::InsertBehavior::Throw)) {}
MetricRegistry::~MetricRegistry() = default;

std::string MetricRegistry::text() const { return prometheus::TextSerializer().Serialize(impl_->Collect()); }

Counter::Counter(MetricRegistry& registry, std::string_view name, std::string_view help)
    : impl_(&add_family<Impl>(registry, name, help).Add({})) {}
void Counter::add(double amount) const { impl_->Increment(amount); }
void Counter::follow(double total) const {
  if (const double more = total - impl_->Value(); more > 0) impl_->Increment(more);
}
double Counter::value() const { return impl_->Value(); }

Gauge::Gauge(MetricRegistry& registry, std::string_view name, std::string_view help)
    : impl_(&add_family<Impl>(registry, name, help).Add({})) {}
void Gauge::set(double value) const { impl_->Set(value); }
double Gauge::value() const { return impl_->Value(); }

Histogram::Histogram(MetricRegistry& registry, std::string_view name, std::string_view help, const Buckets& buckets)
    : impl_(&add_family<Impl>(registry, name, help).Add({}, buckets)) {}
void Histogram::observe(double value) const { impl_->Observe(value); }
uint64_t Histogram::count() const { return impl_->Collect().histogram.sample_count; }
double Histogram::mean() const {
  const auto totals = impl_->Collect().histogram;
  return totals.sample_count == 0 ? 0.0 : totals.sample_sum / static_cast<double>(totals.sample_count);
}

template <typename Metric>
Family<Metric>::Family(MetricRegistry& registry, std::string_view name, std::string_view help,
                       std::vector<std::string> labels, Buckets buckets)
    : impl_(&add_family<typename Metric::Impl>(registry, name, help)),
      labels_(std::move(labels)),
      buckets_(std::move(buckets)) {}

template <typename Metric>
Metric Family<Metric>::with(std::initializer_list<std::string_view> values) const {
  QWEN_CHECK(values.size() == labels_.size());
  prometheus::Labels labels;
  auto label = labels_.begin();
  for (const std::string_view value : values) labels.emplace(*label++, value);
  if constexpr (std::is_same_v<Metric, Histogram>)
    return Metric(impl_->Add(labels, buckets_));
  else
    return Metric(impl_->Add(labels));
}

template class Family<Counter>;
template class Family<Gauge>;
template class Family<Histogram>;

}  // namespace qwen
