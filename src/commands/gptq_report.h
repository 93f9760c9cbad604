// What `quantize --format gptq` says about its work: a table for people, one JSON file for programs.
#pragma once

#include <string>
#include <vector>

#include "commands/calibration.h"
#include "model/gptq_folder.h"

namespace qwen {

// A line per layer: the relative squared output error of each module in percent, behind it how many times smaller than
// that of plain rounding it is; then the means over all modules.
std::string gptq_table(const std::vector<GptqModuleReport>& modules);

// What the numbers depend on beside the model and the text.
struct GptqRun {
  GptqOptions options;
  CalibrationOptions calibration;
  std::string kernels;
};

// {"format":"gptq","version":…,"kernels":…,"bits":…,"group_size":…,…,"calibration":{…},"mean_error":…,"modules":[{"module":…,"error":…,
// "nearest_error":…,"damp_percent":…}]}
std::string gptq_json(const std::vector<GptqModuleReport>& modules, const GptqRun& run, const Calibration& calibration);

}  // namespace qwen
