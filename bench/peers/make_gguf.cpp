// make_gguf: writes the weights of a plain Qwen3 folder as a GGUF file, so that other engines can be timed on the very
// same numbers. For speed only: the vocabulary is made up and rope scaling is left out.
//
//   make_gguf --model DIR --type q8_0 --output FILE
//
// Every matrix, the embedding too, gets the one type; norms are f32. One tensor's row block at a time is in memory.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "model/tensor_names.h"
#include "peers/gguf_model.h"
#include "quant/stored_floats.h"
#include "weights/checkpoint.h"

namespace qwen {
namespace {

constexpr int64_t kPiece = 1 << 20;  // values converted at a time

void write_tensor(GgufWriter& writer, const TensorView& view, GgmlType type) {
  std::vector<float> values;
  std::vector<std::byte> encoded;
  for (int64_t at = 0, all = view.shape.num_elements(); at < all; at += kPiece) {
    values.resize(static_cast<size_t>(std::min(kPiece, all - at)));
    for (size_t i = 0; i < values.size(); ++i) values[i] = read_float(view, at + static_cast<int64_t>(i));
    encoded.clear();
    ggml_encode(type, values, encoded);
    writer.write(encoded);
  }
}

void convert(const std::string& model, const std::string& output, GgmlType matrices) {
  const ModelConfig config = ModelConfig::load(model);
  const Checkpoint checkpoint = Checkpoint::open(model);
  check_tensors(checkpoint, config);
  std::vector<std::pair<std::string, GgmlType>> tensors;
  GgufWriter writer(output);
  set_model_keys(writer, config, matrices);
  for (const ExpectedTensor& tensor : expected_tensors(config)) {
    if (tensor.optional) continue;
    const bool matrix = tensor.shape.rank() == 2;
    if (matrix && tensor.shape[1] % kGgmlBlock != 0)
      throw Error(ErrorCode::kBadData, str(model, ": ", tensor.name, " has ", tensor.shape[1],
                                           " columns; GGUF's blocks need a multiple of ", kGgmlBlock));
    if (checkpoint.find(tensor.name) == nullptr)
      throw Error(ErrorCode::kBadData,
                  str(model, ": ", tensor.name, " is quantized; a folder of plain weights is needed"));
    tensors.emplace_back(tensor.name, matrix ? matrices : GgmlType::kF32);
    writer.declare(gguf_name(tensor.name), tensors.back().second, tensor.shape);
  }
  writer.begin();
  ProgressBar bar("writing " + output);
  uint64_t done = 0;
  for (const auto& [name, type] : tensors) {
    const TensorView view = checkpoint.view(name);
    if (!is_stored_float(view.dtype))
      throw Error(ErrorCode::kBadData,
                  str(model, ": ", name, " is ", dtype_name(view.dtype), "; plain floats are needed"));
    write_tensor(writer, view, type);
    done += ggml_bytes(type, static_cast<uint64_t>(view.shape.num_elements()));
    checkpoint.release(name);
    bar.update(done, writer.data_bytes());
  }
  writer.finish();
}

int run(int argc, char** argv) {
  CLI::App app("Writes a plain Qwen3 folder's weights as GGUF, for timing other engines.", "make_gguf");
  std::string model, output, type = "q8_0";
  app.add_option("--model", model, "model folder")->required();
  app.add_option("--output", output, "file to write")->required();
  app.add_option("--type", type, "f32, bf16, q8_0 or q4_0")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_status(ErrorCode::kUsage);
  }
  const std::optional<GgmlType> matrices = ggml_type_of(type);
  if (!matrices) throw Error(ErrorCode::kUsage, str("--type is ", type, "; allowed are f32, bf16, q8_0 and q4_0"));
  convert(model, output, *matrices);
  return 0;
}

}  // namespace
}  // namespace qwen

int main(int argc, char** argv) {
  try {
    return qwen::run(argc, argv);
  } catch (const qwen::Error& error) {
    std::fprintf(stderr, "make_gguf: %s\n", error.what());
    return qwen::exit_status(error.code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_gguf: %s\n", error.what());
    return 1;
  }
}
