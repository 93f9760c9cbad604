// Cuts a thought into its steps, one line each, for readers who want its outline. Works on what models write in English
// and Chinese: numbered or bulleted lines, else paragraphs, else lines, else sentences. A step is what stands there,
// cut but never reworded; the early-stop sentence is no step.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qwen {

inline constexpr size_t kMaxReasoningSteps = 24;       // of more, neighbours are joined
inline constexpr size_t kMaxStepCharacters = 160;      // longer ones end at a sentence, or in "…"
inline constexpr size_t kMaxReasoningBytes = 1 << 20;  // what comes after is not looked at

// Each step is one line of valid UTF-8 without list marker, not empty. `thought` may be any bytes.
std::vector<std::string> reasoning_steps(std::string_view thought);

}  // namespace qwen
