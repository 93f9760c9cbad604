// `inspect`: what is in a model folder and what it would need in memory. Reads headers, and of GPTQ and AWQ folders
// what decides how they are kept; a folder without weights is described by its config.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "backend/create.h"
#include "base/error.h"
#include "commands/commands.h"
#include "commands/config_flags.h"
#include "commands/format_number.h"
#include "commands/memory_estimate.h"
#include "model/model_config.h"
#include "model/tensor_names.h"
#include "model/weight_formats.h"
#include "server/service_config.h"
#include "weights/checkpoint.h"

namespace qwen {
namespace {

constexpr int64_t kContexts[] = {4096, 32768, 131072};

std::optional<Checkpoint> open_weights(const std::string& model) {
  if (!Checkpoint::exists(model)) return std::nullopt;
  return Checkpoint::open(model);
}

std::vector<int64_t> contexts(const ModelConfig& config) {
  std::vector<int64_t> lengths;
  for (const int64_t length : kContexts) {
    if (length < config.context_length()) lengths.push_back(length);
  }
  lengths.push_back(config.context_length());
  return lengths;
}

nlohmann::ordered_json to_json(const ModelConfig& c) {
  nlohmann::ordered_json out = {{"architecture", c.architecture},
                                {"model_type", c.model_type},
                                {"hidden_size", c.hidden_size},
                                {"intermediate_size", c.intermediate_size},
                                {"num_hidden_layers", c.num_hidden_layers},
                                {"num_attention_heads", c.num_attention_heads},
                                {"num_key_value_heads", c.num_key_value_heads},
                                {"head_dim", c.head_dim},
                                {"vocab_size", c.vocab_size},
                                {"max_position_embeddings", c.max_position_embeddings},
                                {"context_length", c.context_length()},
                                {"rms_norm_eps", c.rms_norm_eps},
                                {"rope_theta", c.rope_theta},
                                {"rope_scaling", nullptr},
                                {"tie_word_embeddings", c.tie_word_embeddings},
                                {"attention_bias", c.attention_bias},
                                {"dtype", dtype_name(c.dtype)},
                                {"quantization", stored_format_name(c.quantization)},
                                {"demo", c.demo}};
  if (c.rope_scaling.type == RopeScaling::Type::kYarn)
    out["rope_scaling"] = {{"type", "yarn"},
                           {"factor", c.rope_scaling.factor},
                           {"original_max_position_embeddings", c.rope_scaling.original_max_position_embeddings}};
  return out;
}

// What the numbers below are about.
struct Inspected {
  const ServiceConfig& service;
  const ModelConfig& config;
  const Checkpoint* weights;  // null: the folder has none
  const Backend& backend;

  uint64_t kv_bytes_per_token() const {
    return static_cast<uint64_t>(config.num_hidden_layers) *
           backend.kv_bytes_per_token(backend.kv_dtype(), config.heads());
  }
  std::vector<FormatEstimate> estimates() const { return estimate_formats(service, config, weights, backend); }
};

void print_json(const Inspected& inspected) {
  const ModelConfig& config = inspected.config;
  const Checkpoint* const weights = inspected.weights;
  nlohmann::ordered_json out = {
      {"model", inspected.service.model_path}, {"config", to_json(config)}, {"parameters", parameter_count(config)}};
  out["tensor_bytes"] = nullptr;
  out["tensors"] = nlohmann::ordered_json::array();
  if (weights != nullptr) {
    out["tensor_bytes"] = weights->total_bytes();
    for (const TensorInfo& tensor : weights->tensors()) {
      nlohmann::ordered_json shape = nlohmann::ordered_json::array();
      for (int i = 0; i < tensor.shape.rank(); ++i) shape.push_back(tensor.shape[i]);
      out["tensors"].push_back(
          {{"name", tensor.name}, {"dtype", dtype_name(tensor.dtype)}, {"shape", shape}, {"bytes", tensor.size_bytes}});
    }
  }
  const uint64_t kv_bytes = inspected.kv_bytes_per_token();
  out["kv_cache_dtype"] = dtype_name(inspected.backend.kv_dtype());
  out["kv_bytes_per_token"] = kv_bytes;
  nlohmann::ordered_json memory = nlohmann::ordered_json::array();
  for (const FormatEstimate& estimate : inspected.estimates()) {
    for (const int64_t length : contexts(config)) {
      const uint64_t kv = kv_bytes * static_cast<uint64_t>(length);
      memory.push_back({{"format", estimate.format},
                        {"head_format", estimate.head_format},
                        {"context", length},
                        {"weight_bytes", estimate.weight_bytes},
                        {"workspace_bytes", estimate.workspace_bytes},
                        {"kv_bytes", kv},
                        {"total_bytes", estimate.weight_bytes + estimate.workspace_bytes + kv}});
    }
  }
  out["memory"] = memory;
  std::cout << out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

void print_line(const std::string& name, const std::string& value) {
  std::cout << name << std::string(name.size() < 18 ? 18 - name.size() : 1, ' ') << value << '\n';
}

std::string pad_left(const std::string& text, size_t width) {
  return std::string(text.size() < width ? width - text.size() : 0, ' ') + text;
}

void print_config(const std::string& model, const ModelConfig& c) {
  print_line("Model", model + (c.demo ? "  (a demonstration model)" : ""));
  print_line(
      "Architecture",
      c.architecture + (c.quantization.method.empty() ? "" : ", quantized: " + stored_format_name(c.quantization)));
  print_line("Parameters", grouped(parameter_count(c)));
  print_line("Layers", str(c.num_hidden_layers, ", hidden ", c.hidden_size, ", feed-forward ", c.intermediate_size));
  print_line("Attention", str(c.num_attention_heads, " heads, ", c.num_key_value_heads,
                              " for keys and values, dimension ", c.head_dim, c.attention_bias ? ", with biases" : ""));
  print_line("Vocabulary",
             grouped(c.vocab_size) + (c.tie_word_embeddings ? ", head tied to the embedding" : ", separate head"));
  const bool yarn = c.rope_scaling.type == RopeScaling::Type::kYarn;
  print_line("Context", grouped(c.context_length()) + str(", rope theta ", c.rope_theta, yarn ? ", YaRN" : ""));
}

void print_tensors(const Checkpoint& weights) {
  size_t width = 0;
  for (const TensorInfo& tensor : weights.tensors()) width = std::max(width, tensor.name.size());
  for (const TensorInfo& tensor : weights.tensors()) {
    std::cout << "  " << tensor.name << std::string(width - tensor.name.size() + 2, ' ')
              << pad_left(std::string(dtype_name(tensor.dtype)), 9) << "  " << pad_left(to_string(tensor.shape), 16)
              << "  " << pad_left(gibibytes(static_cast<double>(tensor.size_bytes)), 11) << '\n';
  }
}

void print_memory(const Inspected& inspected) {
  const std::vector<int64_t> lengths = contexts(inspected.config);
  const uint64_t kv_bytes = inspected.kv_bytes_per_token();
  std::cout << "\nMemory needed: weights, workspace and one sequence of so many tokens (" << grouped(kv_bytes)
            << " bytes of keys and values each, " << dtype_name(inspected.backend.kv_dtype()) << ")\n";
  std::cout << "  format  head" << pad_left("weights", 15) << pad_left("workspace", 13);
  for (const int64_t length : lengths) std::cout << pad_left("with " + grouped(length), 16);
  std::cout << '\n';
  const auto size = [](uint64_t bytes) { return gibibytes(static_cast<double>(bytes)); };
  for (const FormatEstimate& estimate : inspected.estimates()) {
    std::cout << "  " << estimate.format << pad_left(estimate.head_format, 12 - estimate.format.size())
              << pad_left(size(estimate.weight_bytes), 15) << pad_left(size(estimate.workspace_bytes), 13);
    for (const int64_t length : lengths) {
      const uint64_t kv = kv_bytes * static_cast<uint64_t>(length);
      std::cout << pad_left(size(estimate.weight_bytes + estimate.workspace_bytes + kv), 16);
    }
    std::cout << '\n';
  }
}

}  // namespace

void add_inspect(CLI::App& app, CommandRun& run) {
  struct Options {
    ConfigFlags flags;
    bool json = false, tensors = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("inspect", "Show a model folder: config, tensors, memory needed per format");
  options->flags.declare(*command, {"model", "head-format", "kernels", "kv-cache-dtype"});
  command->add_flag("--tensors", options->tensors, "List every tensor");
  command->add_flag("--json", options->json, "One JSON object, tensors included");
  command->callback([options, &run] {
    run = [options] {
      const ServiceConfig service = options->flags.resolve();
      const std::string& model = service.model_path;
      BackendOptions on_cpu = backend_options(service);
      on_cpu.device = "cpu";
      on_cpu.threads = 1;
      const std::unique_ptr<Backend> backend = create_backend(on_cpu);
      const ModelConfig config = ModelConfig::load(model);
      const std::optional<Checkpoint> weights = open_weights(model);
      if (weights) check_tensors(*weights, config);
      const Inspected inspected{service, config, weights ? &*weights : nullptr, *backend};
      if (options->json) {
        print_json(inspected);
        return 0;
      }
      print_config(model, config);
      if (weights)
        print_line("Tensors",
                   str(weights->tensors().size(), ", ", gibibytes(static_cast<double>(weights->total_bytes()))));
      else
        print_line("Tensors", "none: the folder holds no weights");
      if (weights && options->tensors) print_tensors(*weights);
      print_memory(inspected);
      return 0;
    };
  });
}

}  // namespace qwen
