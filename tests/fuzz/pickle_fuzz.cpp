// The pickle machine: every index it hands out is one of its values, every text is its input's or a constant, and a
// file cannot make it keep more than a fixed multiple of its own size.
#include <set>

#include "fuzz.h"
#include "weights/pickle_reader.h"

namespace qwen::fuzz {
namespace {

using Kind = PickleValue::Kind;

void check_pickle(std::string_view bytes) {
  Pickle pickle;
  if (!accepts(ErrorCode::kBadData, [&] { pickle = read_pickle(bytes, "data.pkl"); })) return;
  FUZZ_CHECK(pickle.root < pickle.values.size());
  FUZZ_CHECK(pickle.values.size() <= bytes.size());
  size_t items = 0;
  for (const PickleValue& value : pickle.values) {
    items += value.items.size();
    for (const uint32_t item : value.items) FUZZ_CHECK(item < pickle.values.size());
    const bool inside =
        value.text.data() >= bytes.data() && value.text.data() + value.text.size() <= bytes.data() + bytes.size();
    FUZZ_CHECK(value.text.empty() || inside || value.kind == Kind::kGlobal);
    FUZZ_CHECK(value.kind != Kind::kDict || value.items.size() % 2 == 0);
    FUZZ_CHECK(value.kind != Kind::kStorage || value.items.size() == 5);
    FUZZ_CHECK(value.kind != Kind::kTensor || value.items.size() >= 6);
  }
  FUZZ_CHECK(items <= 8 * bytes.size());
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  qwen::fuzz::check_pickle(qwen::fuzz::text_of(data, size));
  return 0;
}
