// A stack machine over indices: every opcode it knows is one line of step(), and every read is bounded by what is left
// of the input.
#include "weights/pickle_reader.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/quote.h"

namespace qwen {
namespace {

using Kind = PickleValue::Kind;

constexpr std::string_view kOrderedDict = "collections.OrderedDict";
constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuildParameter = "torch._utils._rebuild_parameter";

// Storage types that we cannot hold are here too, so that the error can say what is wrong with the tensor.
constexpr std::array<std::string_view, 13> kAllowedGlobals = {
    kOrderedDict,        kRebuildTensor,          kRebuildParameter,     "torch.FloatStorage",
    "torch.HalfStorage", "torch.BFloat16Storage", "torch.LongStorage",   "torch.IntStorage",
    "torch.CharStorage", "torch.ByteStorage",     "torch.DoubleStorage", "torch.ShortStorage",
    "torch.BoolStorage",
};

class Machine {
 public:
  Machine(std::string_view bytes, const std::string& source) : bytes_(bytes), source_(source) {}

  Pickle run() {
    while (!stopped_) step(static_cast<uint8_t>(take(1)[0]));
    return std::move(pickle_);
  }

 private:
  static constexpr uint32_t kNotSet = std::numeric_limits<uint32_t>::max();

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kBadData, str(source_, ": the pickle ", what, " (at its byte ", at_, ")"));
  }

  // Input.
  std::string_view take(uint64_t length) {
    if (length > bytes_.size() - at_) fail("is truncated; download the file again");
    const std::string_view part = bytes_.substr(at_, length);
    at_ += length;
    return part;
  }
  uint64_t take_number(int num_bytes) {  // little-endian
    const std::string_view part = take(static_cast<uint64_t>(num_bytes));
    uint64_t value = 0;
    for (int i = num_bytes; i-- > 0;) value = value << 8 | static_cast<uint8_t>(part[static_cast<size_t>(i)]);
    return value;
  }
  std::string_view take_text(uint64_t length) {
    if (length > kMaxPickleText)
      fail(str("holds a text of ", length, " bytes; at most ", kMaxPickleText, " are allowed"));
    return take(length);
  }
  std::string_view take_line() {
    const size_t end = bytes_.substr(at_, kMaxPickleText).find('\n');
    if (end == std::string_view::npos) fail("is truncated; download the file again");
    const std::string_view line = take(end);
    take(1);
    return line;
  }

  // Values and the stack.
  PickleValue& value(uint32_t index) { return pickle_.values[index]; }
  uint32_t make(PickleValue value) {
    if (pickle_.values.size() == kMaxPickleValues) fail(str("holds more than ", kMaxPickleValues, " values"));
    pickle_.values.push_back(std::move(value));
    return static_cast<uint32_t>(pickle_.values.size() - 1);
  }
  void push(uint32_t index) {
    if (stack_.size() == kMaxPickleValues) fail("stacks too many values");
    stack_.push_back(index);
  }
  void push_new(PickleValue value) { push(make(std::move(value))); }
  void push_int(int64_t integer) { push_new({.kind = Kind::kInt, .integer = integer}); }
  void push_text(std::string_view text) { push_new({.kind = Kind::kText, .text = text}); }
  size_t stack_floor() const { return marks_.empty() ? 0 : marks_.back(); }
  uint32_t pop() {
    if (stack_.size() == stack_floor()) fail("takes a value from an empty stack");
    const uint32_t index = stack_.back();
    stack_.pop_back();
    return index;
  }
  std::vector<uint32_t> pop_some(size_t count) {
    if (stack_.size() - stack_floor() < count) fail("takes a value from an empty stack");
    std::vector<uint32_t> items(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return items;
  }
  std::vector<uint32_t> pop_to_mark() {
    if (marks_.empty()) fail("lacks a mark");
    std::vector<uint32_t> items = pop_some(stack_.size() - marks_.back());
    marks_.pop_back();
    return items;
  }
  PickleValue& top(Kind kind, const char* what) {
    if (stack_.size() == stack_floor() || value(stack_.back()).kind != kind)
      fail(str("changes something that is not ", what));
    return value(stack_.back());
  }
  void push_tuple(std::vector<uint32_t> items) { push_new({.kind = Kind::kTuple, .items = std::move(items)}); }
  void append(const std::vector<uint32_t>& items, Kind kind, const char* what) {
    if (kind == Kind::kDict && items.size() % 2 != 0) fail("sets a key without a value");
    std::vector<uint32_t>& target = top(kind, what).items;
    target.insert(target.end(), items.begin(), items.end());
  }

  // The memo.
  void put(uint64_t slot) {
    if (slot >= kMaxPickleValues) fail(str("uses memo slot ", slot, "; at most ", kMaxPickleValues, " are allowed"));
    if (stack_.size() == stack_floor()) fail("memoizes from an empty stack");
    if (slot >= memo_.size()) memo_.resize(slot + 1, kNotSet);
    memo_[slot] = stack_.back();
  }
  void get(uint64_t slot) {
    if (slot >= memo_.size() || memo_[slot] == kNotSet) fail(str("reads memo slot ", slot, ", which is not set"));
    push(memo_[slot]);
  }

  // Globals and calls.
  [[noreturn]] void refuse(const std::string& name) const {
    fail("asks to call " + name +
         ", which is refused: only tensors are read and nothing is ever executed. Do not trust this file; use "
         "model.safetensors");
  }
  void push_global(std::string_view module, std::string_view name) {
    const std::string full = str(module, ".", name);
    const auto it = std::find(kAllowedGlobals.begin(), kAllowedGlobals.end(), full);
    if (it == kAllowedGlobals.end()) refuse(quote(full));
    push_new({.kind = Kind::kGlobal, .text = *it});
  }
  void reduce() {
    const uint32_t arguments = pop();
    const PickleValue& function = value(pop());
    const std::vector<uint32_t> items = value(arguments).items;
    if (function.kind != Kind::kGlobal || value(arguments).kind != Kind::kTuple)
      fail("calls something that is no function");
    if (function.text == kOrderedDict && items.empty()) return push_new({.kind = Kind::kDict});
    if (function.text == kRebuildTensor && (items.size() == 6 || items.size() == 7) &&
        value(items[0]).kind == Kind::kStorage)
      return push_new({.kind = Kind::kTensor, .items = items});
    if (function.text == kRebuildParameter && items.size() == 3 && value(items[0]).kind == Kind::kTensor)
      return push(items[0]);
    fail(str("calls ", function.text, " with arguments that torch.save does not write"));
  }
  void load_persistent() {
    const PickleValue& id = value(pop());
    const bool storage = id.kind == Kind::kTuple && id.items.size() == 5 && value(id.items[0]).text == "storage" &&
                         value(id.items[1]).kind == Kind::kGlobal && value(id.items[2]).kind == Kind::kText &&
                         value(id.items[4]).kind == Kind::kInt;
    if (!storage) fail("refers to something that is no storage");
    push_new({.kind = Kind::kStorage, .items = std::vector<uint32_t>(id.items)});
  }
  void load_long(uint64_t length) {  // two's complement, little-endian
    if (length > 8) {
      take(length);
      return push_new({.kind = Kind::kFloat});
    }
    uint64_t bits = take_number(static_cast<int>(length));
    if (length > 0 && length < 8 && (bits >> (8 * length - 1) & 1) != 0) bits |= ~uint64_t{0} << (8 * length);
    push_int(static_cast<int64_t>(bits));
  }
  // A state dict carries its modules' versions as an attribute (_metadata): taken off and forgotten.
  void build() {
    pop();
    top(Kind::kDict, "a dictionary");
  }
  void stop() {
    pickle_.root = pop();
    if (!stack_.empty() || !marks_.empty()) fail("ends with values left over");
    stopped_ = true;
  }

  void step(uint8_t opcode) {
    switch (opcode) {
      case 0x80:
        return check_protocol(take_number(1));
      case 0x95:
        take(8);
        return;  // frame
      case '(':
        return push_mark();
      case '.':
        return stop();
      case 'N':
        return push_new({.kind = Kind::kNone});
      case 0x88:
        return push_new({.kind = Kind::kBool, .integer = 1});
      case 0x89:
        return push_new({.kind = Kind::kBool, .integer = 0});
      case 'K':
        return push_int(static_cast<int64_t>(take_number(1)));
      case 'M':
        return push_int(static_cast<int64_t>(take_number(2)));
      case 'J':
        return push_int(static_cast<int32_t>(take_number(4)));
      case 0x8a:
        return load_long(take_number(1));
      case 'G':
        take(8);
        return push_new({.kind = Kind::kFloat});
      case 'X':
        return push_text(take_text(take_number(4)));
      case 0x8c:
        return push_text(take_text(take_number(1)));
      case 0x8d:
        return push_text(take_text(take_number(8)));
      case ')':
        return push_tuple({});
      case 't':
        return push_tuple(pop_to_mark());
      case 0x85:
        return push_tuple(pop_some(1));
      case 0x86:
        return push_tuple(pop_some(2));
      case 0x87:
        return push_tuple(pop_some(3));
      case ']':
        return push_new({.kind = Kind::kList});
      case 'a':
        return append(pop_some(1), Kind::kList, "a list");
      case 'e':
        return append(pop_to_mark(), Kind::kList, "a list");
      case '}':
        return push_new({.kind = Kind::kDict});
      case 's':
        return append(pop_some(2), Kind::kDict, "a dictionary");
      case 'u':
        return append(pop_to_mark(), Kind::kDict, "a dictionary");
      case 'q':
        return put(take_number(1));
      case 'r':
        return put(take_number(4));
      case 0x94:
        return put(memo_.size());
      case 'h':
        return get(take_number(1));
      case 'j':
        return get(take_number(4));
      case 'c':
        return load_global();
      case 0x93:
        return load_stack_global();
      case 'R':
        return reduce();
      case 'b':
        return build();
      case 'Q':
        return load_persistent();
      case 'i':
        return load_global();  // builds an instance: its class is refused by name, or the marks do not fit
      default:
        refuse_opcode(opcode);
    }
  }

  void check_protocol(uint64_t version) const {
    if (version < 2 || version > 5) fail(str("is of protocol ", version, "; 2 to 5 are known"));
  }
  void push_mark() {
    if (marks_.size() == kMaxPickleValues) fail("stacks too many marks");
    marks_.push_back(stack_.size());
  }
  void load_global() {
    const std::string_view module = take_line();
    push_global(module, take_line());
  }
  void load_stack_global() {
    const std::vector<uint32_t> names = pop_some(2);
    push_global(value(names[0]).text, value(names[1]).text);
  }
  [[noreturn]] void refuse_opcode(uint8_t opcode) const {
    char code[8];
    std::snprintf(code, sizeof code, "0x%02x", opcode);
    fail(str("uses opcode ", code, ", which describes no tensor; it is corrupt or not to be trusted"));
  }

  std::string_view bytes_;
  const std::string& source_;
  size_t at_ = 0;
  bool stopped_ = false;
  Pickle pickle_;
  std::vector<uint32_t> stack_, memo_;
  std::vector<size_t> marks_;  // stack heights
};

}  // namespace

Pickle read_pickle(std::string_view bytes, const std::string& source) {
  if (bytes.size() > kMaxPickleBytes)
    throw Error(ErrorCode::kBadData,
                str(source, ": its pickle has ", bytes.size(), " bytes; at most ", kMaxPickleBytes, " are allowed"));
  return Machine(bytes, source).run();
}

}  // namespace qwen
