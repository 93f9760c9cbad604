// Class of a code point for the pre-tokenizer, and whether NFC has to look at it. Total functions: any value is
// allowed.
#pragma once

#include "text/unicode_tables.h"

namespace qwen {

CharClass char_class(char32_t code_point);

// False: a starter that NFC leaves alone and never joins with what stands before it, so normalization may be cut in
// front of it.
bool nfc_may_change(char32_t code_point);

}  // namespace qwen
