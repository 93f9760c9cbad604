#include "commands/load_service.h"

#include <filesystem>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/hex.h"
#include "commands/config_flags.h"
#include "commands/load.h"
#include "commands/weight_format.h"
#include "engine/kv_sizing.h"
#include "model/model_config.h"
#include "model/tensor_names.h"
#include "server/config.h"

namespace qwen {
namespace {

SamplingParams default_sampling(const GenerationConfig& generation) {
  SamplingParams sampling;
  sampling.temperature = generation.do_sample ? static_cast<float>(generation.temperature) : 0.0f;
  sampling.top_k = static_cast<int>(generation.top_k);
  sampling.top_p = static_cast<float>(generation.top_p);
  sampling.min_p = static_cast<float>(generation.min_p);
  sampling.repetition_penalty = static_cast<float>(generation.repetition_penalty);
  sampling.stop_token_ids = generation.eos_token_ids;
  return sampling;
}

std::string folder_name(const std::string& folder) {
  const std::filesystem::path path = std::filesystem::weakly_canonical(folder);
  return path.filename().empty() ? path.parent_path().filename().string() : path.filename().string();
}

EngineOptions engine_options(const ServiceConfig& config, const Tokenizer& tokenizer) {
  EngineOptions options;
  options.max_model_len = config.max_model_len;
  options.max_num_seqs = config.max_num_seqs;
  options.max_num_batched_tokens = config.max_num_batched_tokens;
  options.max_waiting = config.max_waiting;
  options.kv_cache_bytes = config.kv_cache_bytes;
  if (config.device == "cpu") options.processes = config.workers;
  options.num_valid_tokens = tokenizer.vocab_size();
  return options;
}

}  // namespace

std::string system_fingerprint(uint64_t files, const ModelInfo& info, const QuantFormat& head) {
  const std::string computed = str(info.device, '\n', info.kernels, '\n', info.kv_cache_dtype, '\n', info.quantization,
                                   '\n', static_cast<int>(head.kind));
  return to_hex(xxh64(computed, files));
}

ModelOptions model_options(const ServiceConfig& config, const ModelConfig& model, const WeightFormats& formats) {
  ModelOptions options;
  options.max_batched_tokens = config.max_num_batched_tokens;
  options.max_logit_rows = config.max_num_seqs;
  const int most = static_cast<int>(std::min<int64_t>(model.context_length(), kDefaultMaxModelLen));
  options.max_positions = config.max_model_len > 0 ? config.max_model_len : most;
  options.formats = formats;
  return options;
}

LoadedModel load_service_model(const ServiceConfig& config, ProgressFn progress) {
  const ModelConfig model_config = ModelConfig::load(config.model_path);
  const ChosenFormat format = choose_format(config, model_config);
  if (config.max_model_len > model_config.context_length())
    throw wrong_setting(config, "engine.max_model_len",
                        str("is ", config.max_model_len, " but ", config.model_path, " was made for ",
                            model_config.context_length(), " tokens; ask for at most that"));
  const GenerationConfig generation = GenerationConfig::load(config.model_path, model_config);
  LoadedModel loaded;
  loaded.tokenizer = std::make_unique<Tokenizer>(Tokenizer::load(config.model_path));
  loaded.chat_template = std::make_unique<ChatTemplate>(ChatTemplate::detect(config.model_path, config.chat_template));
  if (loaded.tokenizer->vocab_size() > model_config.vocab_size)
    throw Error(ErrorCode::kBadData, str(config.model_path, ": the tokenizer has ", loaded.tokenizer->vocab_size(),
                                         " ids but config.json's vocab_size is ", model_config.vocab_size,
                                         "; take both from the same model"));
  LoadedCausalLm in_memory =
      load_model_folder(config.model_path, backend_options(config), model_options(config, model_config, format.formats),
                        cache_options(config), std::move(progress));
  const Backend& backend = in_memory.model->backend();

  ModelInfo& info = loaded.info;
  info.name = config.model_name.empty() ? folder_name(config.model_path) : config.model_name;
  info.architecture = model_config.architecture;
  info.quantization = format.name;
  info.head_format = weight_format_name(format.formats.head);
  info.dtype = dtype_name(model_config.dtype);
  info.device = backend.name();
  info.kernels = backend.kernels();
  info.kv_cache_dtype = dtype_name(backend.kv_dtype());
  info.fingerprint =
      system_fingerprint(in_memory.fingerprint ^ loaded.tokenizer->fingerprint(), info, format.formats.head);
  info.parameters = parameter_count(model_config);
  info.vocab_size = model_config.vocab_size;
  info.context_length = model_config.context_length();
  info.demo = model_config.demo;
  loaded.default_sampling = default_sampling(generation);
  loaded.engine = std::make_unique<Engine>(std::move(in_memory.model), engine_options(config, *loaded.tokenizer));
  return loaded;
}

void load_and_wait(GenerationService& service, const ServiceConfig& config) {
  LoadedModel loaded;
  {
    ProgressBar bar("loading");
    loaded = load_service_model(config, [&bar](uint64_t done, uint64_t total) { bar.update(done, total); });
  }
  service.set_ready(std::move(loaded));
}

}  // namespace qwen
