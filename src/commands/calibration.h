// The token sequences that `quantize --format gptq` calibrates on.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "backend/create.h"
#include "commands/token_sequences.h"
#include "model/model_config.h"

namespace qwen {

struct CalibrationOptions {
  std::string file;  // empty: the model's own text
  int sequences = 128;
  int tokens = 512;  // of a sequence, at most
  uint64_t seed = 1;
};

struct Calibration {
  TokenSequences sequences;
  std::string source;  // for the report: the file's name without its folders, or what else it is
  std::string sha256;  // of the file; empty without one
  int64_t num_tokens() const;
};

// From the file: text, or where its name ends in .jsonl objects with "text", "messages" (rendered by the model's chat
// template) or "ids", one a line; all of it in a row, cut into sequences. Errors: kMissingFile, kBadData naming file
// and line.
Calibration read_calibration(const std::string& model_dir, const ModelConfig& config, const std::string& chat_template,
                             const CalibrationOptions& options);

// Conversations that the model has with itself, the turns opened as its chat template does, all else drawn at
// temperature 1: the same on every call. The model is loaded for it, in int8. `poll` is called again and again; what it
// throws ends the work. Errors: as load_model_folder,
// Tokenizer::load and ChatTemplate::detect.
Calibration sample_calibration(const std::string& model_dir, const ModelConfig& config,
                               const std::string& chat_template, const BackendOptions& backend,
                               const CalibrationOptions& options, const std::function<void()>& poll);

}  // namespace qwen
