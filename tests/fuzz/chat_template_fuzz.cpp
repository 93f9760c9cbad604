// A chat template's text, and tokenizer_config.json that holds one: recognised as a family that renders, or refused.
#include "fuzz.h"
#include "support/scratch_folder.h"
#include "text/chat_template.h"

namespace qwen::fuzz {
namespace {

void check_renders(const ChatTemplate& chat_template) {
  const std::vector<Message> messages = {{"system", "S"}, {"user", "U"}};
  FUZZ_CHECK(!chat_template.family_name().empty());
  FUZZ_CHECK(chat_template.render(messages).starts_with("<|im_start|>system\nS<|im_end|>\n"));
}

void check_config(std::string_view text) {
  static const ScratchFolder folder;
  folder.write("tokenizer_config.json", text);
  accepts(ErrorCode::kBadData, [] { check_renders(ChatTemplate::detect(folder.path())); });
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace qwen::fuzz;
  const std::string_view text = text_of(data, size);
  accepts(qwen::ErrorCode::kBadData,
          [&] { check_renders(qwen::ChatTemplate(qwen::match_template(text, "chat_template.jinja"))); });
  if (text.starts_with("{\"")) check_config(text);
  return 0;
}
