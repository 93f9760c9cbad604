// Reads the pickle of a torch state dict without executing anything: a machine that knows the opcodes which describe
// plain values and the few globals that torch.save uses for tensors. A global is never looked up or called; reducing a
// known one makes a node that says so. Any other global, opcode or shape of call is kBadData naming it. Invariant:
// values refer to each other by index into one array (shared and even cyclic values cost nothing and cannot recurse);
// memory is bounded by kMaxPickleBytes and kMaxPickleValues.
// Source: CPython's pickletools.py; torch/_utils.py for the arguments of the rebuild functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qwen {

inline constexpr size_t kMaxPickleBytes = 16 << 20;
inline constexpr size_t kMaxPickleValues = 1 << 20;  // a tensor takes about 20
inline constexpr size_t kMaxPickleText = 64 << 10;

struct PickleValue {
  enum class Kind : uint8_t {
    kNone,
    kBool,     // integer
    kInt,      // integer
    kFloat,    // a number that no tensor needs: a float, or an integer beyond 64 bits
    kText,     // text
    kTuple,    // items
    kList,     // items
    kDict,     // items: key, value, key, value, …; an OrderedDict too
    kGlobal,   // text: "torch.FloatStorage", one of the allow-list
    kStorage,  // items: "storage", type (kGlobal), key (kText), location, number of elements
    kTensor,   // items: kStorage, storage_offset, size, stride, requires_grad, backward_hooks
  };
  Kind kind = Kind::kNone;
  int64_t integer = 0;
  std::string_view text;        // inside the pickle's bytes, or a constant
  std::vector<uint32_t> items;  // indices into Pickle::values
};

struct Pickle {
  std::vector<PickleValue> values;
  uint32_t root = 0;
};

// `source` is named in errors.
Pickle read_pickle(std::string_view bytes, const std::string& source);

}  // namespace qwen
