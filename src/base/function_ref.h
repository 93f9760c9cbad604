// A reference to a callable: two words, no allocation. Valid only while the callable lives, so it is for parameters
// alone.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace qwen {

template <typename Signature>
class FunctionRef;

template <typename Result, typename... Args>
class FunctionRef<Result(Args...)> {
 public:
  using Call = Result (*)(const void* object, Args...);

  template <typename Callable>
  requires(!std::is_same_v<std::remove_cvref_t<Callable>, FunctionRef> &&
           std::is_invocable_r_v<Result, const std::remove_reference_t<Callable>&, Args...>)
      FunctionRef(const Callable& callable)  // implicit: callers pass lambdas
      : object_(std::addressof(callable)), call_([](const void* object, Args... args) -> Result {
          return (*static_cast<const Callable*>(object))(std::forward<Args>(args)...);
        }) {}

  Result operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }
  const void* object() const { return object_; }
  Call call() const { return call_; }

 private:
  const void* object_;
  Call call_;
};

}  // namespace qwen
