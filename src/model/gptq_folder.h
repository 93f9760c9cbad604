// Plain weights → a GPTQ folder (quant/gptq.h) that other engines load too. Layer by layer and,
// in a layer, q, k and v, then o, then gate and up, then down: each is calibrated on what reaches it through everything
// quantized before it. Embedding, head and norms stay as they are.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/progress.h"
#include "base/token_id.h"
#include "model/model_config.h"
#include "quant/gptq_quantize.h"
#include "weights/checkpoint.h"
#include "weights/model_folder_writer.h"

namespace qwen {

// Relative squared errors of a module's outputs on the calibration (relative_output_error), over some of its rows.
struct GptqModuleReport {
  std::string module;
  double error = 0;
  double nearest_error = 0;  // of plain rounding to the same grids
  double damp_percent = 0;   // that the Hessian needed
};

using GptqReportFn = std::function<void(const GptqModuleReport&)>;

// Bytes that writing takes beyond the weights' pages: activations of `tokens` tokens and the work on the largest
// Hessian.
uint64_t gptq_memory(const ModelConfig& config, Backend& backend, int64_t tokens);

// Before write_gptq_folder: all tensors of the model are declared to the writer, which begins. Errors: kBadData for
// tensors that do not fit the configuration or GPTQ's packing; as the writer's.
void declare_gptq_folder(const Checkpoint& checkpoint, const ModelConfig& config, const GptqOptions& options,
                         ModelFolderWriter& writer);

// Writes what was declared. `sequences` are the calibration's: LayerCalibrator says what they have
// to be. `report` is told of every module when it is done; `progress` counts bytes of quantized weights and is called
// between, too; what it throws ends the writing. Errors: kBadData naming the tensor for numbers that are not finite;
// as the writer's.
void write_gptq_folder(const Checkpoint& checkpoint, const ModelConfig& config, const GptqOptions& options,
                       std::span<const std::vector<TokenId>> sequences, Backend& backend, int threads,
                       ModelFolderWriter& writer, const GptqReportFn& report, const ProgressFn& progress);

}  // namespace qwen
