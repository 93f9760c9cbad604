// Counters, gauges and histograms that any thread may touch at any time, and their text for Prometheus. A family is one
// name with labels; its members are made on first use and never go away, so label values must come from a bounded set.
// A family without members is not told at all. The metrics themselves are declared in metrics.h.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
class Registry;
template <typename T>
class Family;
}  // namespace prometheus

namespace qwen {

class MetricRegistry {
 public:
  MetricRegistry();
  ~MetricRegistry();
  MetricRegistry(const MetricRegistry&) = delete;
  MetricRegistry& operator=(const MetricRegistry&) = delete;

  std::string text() const;  // exposition format 0.0.4
  prometheus::Registry& impl() { return *impl_; }

 private:
  std::unique_ptr<prometheus::Registry> impl_;
};

// The handles below are as cheap to copy as a pointer; the registry must outlive them.

class Counter {
 public:
  using Impl = prometheus::Counter;
  Counter(MetricRegistry& registry, std::string_view name, std::string_view help);
  explicit Counter(Impl& impl) : impl_(&impl) {}

  void add(double amount = 1) const;
  // Of a total that is kept elsewhere: raises this one to it, never lowers. One caller at a time.
  void follow(double total) const;
  double value() const;

 private:
  Impl* impl_;
};

class Gauge {
 public:
  using Impl = prometheus::Gauge;
  Gauge(MetricRegistry& registry, std::string_view name, std::string_view help);
  explicit Gauge(Impl& impl) : impl_(&impl) {}

  void set(double value) const;
  double value() const;

 private:
  Impl* impl_;
};

using Buckets = std::vector<double>;  // upper bounds, ascending; a value equal to a bound belongs to it

class Histogram {
 public:
  using Impl = prometheus::Histogram;
  Histogram(MetricRegistry& registry, std::string_view name, std::string_view help, const Buckets& buckets);
  explicit Histogram(Impl& impl) : impl_(&impl) {}

  void observe(double value) const;
  uint64_t count() const;
  double mean() const;  // 0 where nothing was observed

 private:
  Impl* impl_;
};

template <typename Metric>
class Family {
 public:
  Family(MetricRegistry& registry, std::string_view name, std::string_view help, std::vector<std::string> labels,
         Buckets buckets = {});

  // The member with these label values, one for each label in order. Takes a lock and allocates: not for inner loops.
  Metric with(std::initializer_list<std::string_view> values) const;

 private:
  prometheus::Family<typename Metric::Impl>* impl_;
  std::vector<std::string> labels_;
  Buckets buckets_;  // of histograms
};

}  // namespace qwen
