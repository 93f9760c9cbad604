// Plain weights → a folder of int8 or int4 weights (quant/integer_rows.h), which serves without quantizing anything and
// computes what quantizing at load computes, to the bit.
#pragma once

#include "backend/backend.h"
#include "base/progress.h"
#include "model/model_config.h"
#include "model/weight_formats.h"
#include "weights/checkpoint.h"
#include "weights/model_folder_writer.h"

namespace qwen {

// Declares and writes all tensors of the model; a few megabytes of one matrix are in memory at a time. `progress`
// counts the bytes that are read; what it throws ends the writing. Errors: kBadData for tensors that do not fit the
// configuration, are quantized already, hold what is not finite or have an odd number of input features where two share
// a byte; as the writer's.
void write_integer_folder(const Checkpoint& checkpoint, const ModelConfig& config, const WeightFormats& formats,
                          Backend& backend, ModelFolderWriter& writer, const ProgressFn& progress);

}  // namespace qwen
