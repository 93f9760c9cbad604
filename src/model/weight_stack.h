// The weights of one stack of modules as the checkpoint has them. What its tensors say, and what the backend says to
// them, is found out once, when it is first asked for: whoever counts the memory and whoever loads share the answer.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/error.h"
#include "model/linear_weight.h"
#include "model/model_config.h"
#include "weights/checkpoint.h"

namespace qwen {

class WeightStack {
 public:
  // Reads no data. Errors: kBadData where a module is absent or has other than `cols` columns.
  WeightStack(const Checkpoint& checkpoint, const QuantizationConfig& quantization,
              std::span<const std::string> modules, int64_t cols);

  const std::string& name() const { return name_; }  // the modules', joined by +
  int64_t rows() const { return rows_; }             // of all
  int64_t cols() const { return cols_; }
  std::span<const LinearWeight> weights() const { return weights_; }
  // kBF16 where all of it is stored so; else, and where it is quantized, another.
  DType stored_dtype() const;

  // The format in which they are loaded when `asked` for this one, with their group indices, scales and zero points
  // read. Errors: kBadData naming the tensor, also for integers other than those that are asked for.
  QuantFormat prepared_format(const Backend& backend, const QuantFormat& asked);
  Matrix prepare(Backend& backend, const QuantFormat& format);

  void release();  // the pages that were read; what was found out stays

  // What the backend is asked, which knows no names: its refusal with the stack's.
  template <typename Question>
  auto ask(const Question& question) const {
    return in_folder(question, name_ + ": ");
  }

 private:
  template <typename Question>
  auto in_folder(const Question& question, const std::string& prefix) const {
    try {
      return question();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kBadData) throw;
      throw Error(error.code(), str(checkpoint_.directory().string(), ": ", prefix, error.what()));
    }
  }
  std::span<const HostMatrix> matrices();

  const Checkpoint& checkpoint_;
  std::vector<LinearWeight> weights_;
  std::string name_;
  int64_t rows_ = 0, cols_ = 0;
  std::vector<HostMatrix> matrices_;  // empty unless they are viewed
  std::optional<QuantFormat> asked_, prepared_;
};

}  // namespace qwen
