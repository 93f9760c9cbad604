// Typed, range-checked access to the two JSON files. The limits are here; nothing is allocated by a size that has not
// passed one.
#include "model/model_config.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/mapped_file.h"
#include "base/quote.h"
#include "quant/fp8_block.h"
#include "quant/integer_format.h"
#include "weights/model_directory.h"

namespace qwen {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxJsonBytes = 1 << 20;
constexpr int kMaxJsonDepth = 16;
constexpr size_t kMaxEosTokens = 64;

// Some way above the largest dense models, and small enough that any product of four of them fits 64 bits.
constexpr int64_t kMaxHidden = 65536, kMaxIntermediate = 1 << 20, kMaxLayers = 1024, kMaxHeads = 1024,
                  kMaxHeadDim = 1024;
constexpr int64_t kMaxVocab = 1 << 22, kMaxPositions = 1 << 24;

Json parse_object(const std::string& text, const std::string& source) {
  const auto limit_depth = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxJsonDepth)
      throw Error(ErrorCode::kBadData, str(source, ": nested deeper than ", kMaxJsonDepth, " levels"));
    return true;
  };
  try {
    Json json = Json::parse(text, limit_depth);
    if (!json.is_object()) throw Error(ErrorCode::kBadData, source + ": is not a JSON object");
    return json;
  } catch (const nlohmann::detail::parse_error& error) {
    if (error.byte > text.size())
      throw Error(ErrorCode::kBadData,
                  str(source, ": is not valid JSON: it ends in the middle; the file is truncated, copy it again"));
    throw Error(ErrorCode::kBadData,
                str(source, ": is not valid JSON (near byte ", error.byte, "); JSON has no NaN, Infinity or comments"));
  } catch (const nlohmann::detail::exception&) {
    throw Error(ErrorCode::kBadData, source + ": holds a number that no computer number can be");
  }
}

// Typed access to one JSON object; every failure names file, field, value and what is allowed.
class Fields {
 public:
  Fields(const Json& object, std::string source, std::string prefix = {})
      : object_(object), source_(std::move(source)), prefix_(std::move(prefix)) {}

  const Json* find(const char* key) const {  // null counts as missing, as it does for Hugging Face
    const auto it = object_.find(key);
    return it == object_.end() || it->is_null() ? nullptr : &*it;
  }

  [[noreturn]] void fail(const char* key, const std::string& allowed) const {
    const Json* value = find(key);
    throw Error(ErrorCode::kBadData,
                str(source_, ": ", prefix_, key, " ", value == nullptr ? "is missing" : "is " + shown(*value),
                    "; allowed is ", allowed));
  }

  int64_t integer(const char* key, int64_t low, int64_t high) const {
    const Json* value = find(key);
    if (value == nullptr || !in_range(*value, low, high)) fail(key, str("a whole number from ", low, " to ", high));
    return value->get<int64_t>();
  }
  int64_t integer_or(const char* key, int64_t fallback, int64_t low, int64_t high) const {
    return find(key) == nullptr ? fallback : integer(key, low, high);
  }
  double number(const char* key, double low, double high) const {
    const Json* value = find(key);
    if (value == nullptr || !value->is_number() || !(value->get<double>() >= low && value->get<double>() <= high))
      fail(key, str("a number from ", low, " to ", high));
    return value->get<double>();
  }
  double number_or(const char* key, double fallback, double low, double high) const {
    return find(key) == nullptr ? fallback : number(key, low, high);
  }
  bool boolean_or(const char* key, bool fallback) const {
    const Json* value = find(key);
    if (value != nullptr && !value->is_boolean()) fail(key, "true or false");
    return value == nullptr ? fallback : value->get<bool>();
  }
  std::string text_or(const char* key, const char* fallback) const {
    const Json* value = find(key);
    if (value != nullptr && !value->is_string()) fail(key, "text");
    return value == nullptr ? fallback : value->get<std::string>();
  }
  std::optional<TokenId> token_id(const char* key, int64_t vocab_size) const {
    if (find(key) == nullptr) return std::nullopt;
    return static_cast<TokenId>(integer(key, 0, vocab_size - 1));
  }
  std::vector<TokenId> token_ids(const char* key, int64_t vocab_size) const {  // one id or a list
    const Json* value = find(key);
    if (value == nullptr) return {};
    if (!value->is_array()) return {*token_id(key, vocab_size)};
    std::vector<TokenId> ids;
    for (const Json& item : *value) {
      if (ids.size() == kMaxEosTokens || !in_range(item, 0, vocab_size - 1))
        fail(key, str("at most ", kMaxEosTokens, " ids from 0 to ", vocab_size - 1));
      ids.push_back(item.get<TokenId>());
    }
    return ids;
  }
  Fields object(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr || !value->is_object()) fail(key, "an object");
    return {*value, source_, prefix_ + key + "."};
  }

 private:
  // As the file spells it, cut where it is long.
  static std::string shown(const Json& value) {
    if (value.is_string()) return quote(value.get_ref<const std::string&>());
    const std::string quoted = quote(value.dump(-1, ' ', false, Json::error_handler_t::replace));
    return quoted.substr(1, quoted.size() - 2);
  }
  static bool in_range(const Json& value, int64_t low, int64_t high) {
    if (!value.is_number_integer()) return false;
    if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(high)) return false;
    return value.get<int64_t>() >= low && value.get<int64_t>() <= high;
  }

  const Json& object_;
  std::string source_, prefix_;
};

void read_architecture(const Fields& fields, ModelConfig& config) {
  config.model_type = fields.text_or("model_type", "");
  const Json* names = fields.find("architectures");
  if (names == nullptr) {
    config.architecture = config.model_type == "qwen3" ? "Qwen3ForCausalLM" : "";
  } else {
    if (!names->is_array() || names->size() != 1 || !names->front().is_string())
      fields.fail("architectures", "[\"Qwen3ForCausalLM\"]");
    config.architecture = names->front().get<std::string>();
  }
  if (config.architecture != "Qwen3ForCausalLM")
    fields.fail("architectures", "[\"Qwen3ForCausalLM\"]; this service runs dense Qwen3 only");
  if (config.model_type.empty()) config.model_type = "qwen3";
  if (config.model_type != "qwen3") fields.fail("model_type", "\"qwen3\"; this service runs dense Qwen3 only");
  if (fields.find("auto_map") != nullptr)
    fields.fail("auto_map",
                "nothing: it asks to run code from the folder, which this service never does. If the model is a plain "
                "Qwen3, remove the key");
}

void read_sizes(const Fields& fields, ModelConfig& config) {
  config.hidden_size = fields.integer("hidden_size", 1, kMaxHidden);
  config.intermediate_size = fields.integer("intermediate_size", 1, kMaxIntermediate);
  config.num_hidden_layers = fields.integer("num_hidden_layers", 1, kMaxLayers);
  config.num_attention_heads = fields.integer("num_attention_heads", 1, kMaxHeads);
  config.num_key_value_heads =
      fields.integer_or("num_key_value_heads", config.num_attention_heads, 1, config.num_attention_heads);
  if (config.num_attention_heads % config.num_key_value_heads != 0)
    fields.fail("num_key_value_heads", str("a divisor of num_attention_heads, ", config.num_attention_heads));
  // 128 is the default of Qwen3Config in transformers; it does not follow from hidden_size.
  config.head_dim = fields.integer_or("head_dim", 128, 2, kMaxHeadDim);
  if (config.head_dim % 2 != 0) fields.fail("head_dim", str("an even number from 2 to ", kMaxHeadDim));
  config.vocab_size = fields.integer("vocab_size", 1, kMaxVocab);
  config.max_position_embeddings = fields.integer("max_position_embeddings", 1, kMaxPositions);
  config.rms_norm_eps = fields.number_or("rms_norm_eps", 1e-6, 1e-12, 0.1);
}

constexpr double kMaxStretch = 1024;

void read_yarn(const Fields& rope, const ModelConfig& config, RopeScaling& scaling) {
  scaling.type = RopeScaling::Type::kYarn;
  scaling.original_max_position_embeddings =
      rope.integer_or("original_max_position_embeddings", config.max_position_embeddings, 1, kMaxPositions);
  const double stretch = static_cast<double>(config.max_position_embeddings) /
                         static_cast<double>(scaling.original_max_position_embeddings);
  scaling.factor = rope.number_or("factor", std::max(1.0, stretch), 1.0, kMaxStretch);
  if (scaling.factor > kMaxStretch)
    rope.fail("factor", str("a number from 1 to ", kMaxStretch, ", where max_position_embeddings is ", stretch,
                            " times original_max_position_embeddings"));
  scaling.beta_fast = rope.number_or("beta_fast", 32.0, 1e-3, 1e6);
  scaling.beta_slow = rope.number_or("beta_slow", 1.0, 1e-3, scaling.beta_fast);
  if (scaling.beta_slow > scaling.beta_fast)
    rope.fail("beta_fast", str("at least beta_slow, which is ", scaling.beta_slow, " where it is not given"));
  scaling.truncate = rope.boolean_or("truncate", true);
  const auto attention_scale = [&](double mscale) { return 0.1 * mscale * std::log(scaling.factor) + 1.0; };
  const double mscale = rope.number_or("mscale", 0.0, 0.0, 100.0);
  const double mscale_all_dim = rope.number_or("mscale_all_dim", 0.0, 0.0, 100.0);
  const double inferred = mscale != 0 && mscale_all_dim != 0 ? attention_scale(mscale) / attention_scale(mscale_all_dim)
                                                             : attention_scale(1.0);
  scaling.attention_factor = rope.number_or("attention_factor", inferred, 1e-3, 100.0);
}

void read_rope(const Fields& fields, ModelConfig& config) {
  constexpr double kMinTheta = 2, kMaxTheta = 1e12;
  const char* key = fields.find("rope_parameters") != nullptr ? "rope_parameters" : "rope_scaling";
  if (fields.find(key) == nullptr) {
    config.rope_theta = fields.number("rope_theta", kMinTheta, kMaxTheta);
    return;
  }
  const Fields rope = fields.object(key);
  config.rope_theta = (rope.find("rope_theta") != nullptr ? rope : fields).number("rope_theta", kMinTheta, kMaxTheta);
  rope.number_or("partial_rotary_factor", 1.0, 1.0, 1.0);
  const char* type_key = rope.find("rope_type") != nullptr ? "rope_type" : "type";
  const std::string type = rope.text_or(type_key, "default");
  if (type == "yarn") return read_yarn(rope, config, config.rope_scaling);
  if (type != "default") rope.fail(type_key, "\"default\" or \"yarn\"; other stretching of positions is not supported");
}

// Fields that would change the arithmetic if they had any other value.
void check_variants(const Fields& fields, const ModelConfig& config) {
  if (fields.text_or("hidden_act", "silu") != "silu") fields.fail("hidden_act", "\"silu\"");
  if (const Json* types = fields.find("layer_types")) {
    const bool all_full = types->is_array() && std::all_of(types->begin(), types->end(),
                                                           [](const Json& type) { return type == "full_attention"; });
    if (!all_full || types->size() != static_cast<size_t>(config.num_hidden_layers))
      fields.fail("layer_types", str("\"full_attention\" for each of the ", config.num_hidden_layers, " layers"));
  } else if (fields.boolean_or("use_sliding_window", false) && fields.find("sliding_window") != nullptr &&
             fields.integer_or("max_window_layers", 28, 0, 1 << 20) < config.num_hidden_layers) {
    fields.fail("use_sliding_window", "false; sliding-window attention is not supported");
  }
}

DType read_dtype(const Fields& fields) {
  const char* key = fields.find("dtype") != nullptr ? "dtype" : "torch_dtype";
  const std::string name = fields.text_or(key, "bfloat16");
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16})
    if (name == dtype_name(dtype)) return dtype;
  fields.fail(key, "\"float32\", \"float16\" or \"bfloat16\"");
}

constexpr const char* kMethods =
    "\"gptq\", \"awq\", \"fp8\" or \"qwen_thinking\"; other formats: take the unquantized model";

// Packed for one GPU kernel, or other bits in other layers: not what the tensors say they are.
void refuse_variants(const Fields& fields) {
  const auto refuse = [&](const char* key, bool bad, const char* allowed) {
    if (bad) fields.fail(key, allowed);
  };
  refuse("is_marlin_format", fields.boolean_or("is_marlin_format", false), "false");
  const Json* dynamic = fields.find("dynamic");
  refuse("dynamic", dynamic != nullptr && !dynamic->empty(), "none: one format for all layers");
}

QuantFormat read_gptq(const Fields& fields) {
  refuse_variants(fields);
  const char* const key = fields.find("checkpoint_format") == nullptr ? "format" : "checkpoint_format";
  const std::string layout = fields.text_or(key, "gptq");
  if (layout != "gptq" && layout != "gptq_v2") fields.fail(key, "\"gptq\" or \"gptq_v2\"");
  const int64_t bits = fields.integer("bits", 1, 32);
  if (bits != 4 && bits != 8) fields.fail("bits", "4 or 8");
  return {.kind = QuantFormat::Kind::kGptq, .bits = static_cast<int>(bits), .zero_offset = layout == "gptq" ? 1 : 0};
}

QuantFormat read_awq(const Fields& fields) {
  const char* const bits = fields.find("w_bit") == nullptr ? "bits" : "w_bit";
  if (fields.integer(bits, 1, 32) != 4) fields.fail(bits, "4");
  const std::string version = fields.text_or("version", "gemm");
  if (version != "gemm" && version != "GEMM") fields.fail("version", "\"gemm\"");
  return {.kind = QuantFormat::Kind::kAwq, .bits = 4};
}

QuantFormat read_fp8(const Fields& fields) {
  if (fields.text_or("fmt", "e4m3") != "e4m3") fields.fail("fmt", "\"e4m3\"");
  if (const Json* block = fields.find("weight_block_size"); block != nullptr && *block != Json({kFp8Block, kFp8Block}))
    fields.fail("weight_block_size", str("[", kFp8Block, ", ", kFp8Block, "]"));
  return {.kind = QuantFormat::Kind::kFp8Block, .bits = 8};
}

// What `quantize` writes: quant/integer_rows.h.
QuantizationConfig read_integers(const Fields& fields) {
  using Kind = QuantFormat::Kind;
  const int64_t bits = fields.integer("bits", 1, 32), group = fields.integer("group_size", 1, kMaxIntermediate);
  if (bits != 4 && bits != 8) fields.fail("bits", "4 or 8");
  if (group != kIntegerGroup && (bits == 8 || group != kHalfGroup))
    fields.fail("group_size", bits == 8 ? str(kIntegerGroup) : str(kIntegerGroup, " or ", kHalfGroup));
  if (fields.text_or("rotation", "") != "hadamard") fields.fail("rotation", "\"hadamard\"");
  const int64_t head_bits = fields.integer("head_bits", 1, 32);
  if (head_bits != 8 && head_bits != 16) fields.fail("head_bits", "8 or 16");
  QuantizationConfig config{.method = "qwen_thinking"};
  config.format = {.kind = bits == 8 ? Kind::kInt8 : Kind::kInt4,
                   .bits = static_cast<int>(bits),
                   .group_size = static_cast<int>(group)};
  if (head_bits == 8) config.head = {.kind = Kind::kInt8, .bits = 8, .group_size = kIntegerGroup};
  return config;
}

QuantizationConfig read_quantization(const Fields& fields) {
  QuantizationConfig config;
  config.method = fields.text_or("quant_method", "gptq");  // quantize_config.json has no other
  if (config.method == "fp8") {
    config.format = read_fp8(fields);
    return config;
  }
  if (config.method == "qwen_thinking") return read_integers(fields);
  if (config.method == "gptq")
    config.format = read_gptq(fields);
  else if (config.method == "awq")
    config.format = read_awq(fields);
  else
    fields.fail("quant_method", kMethods);
  const char* const key = fields.find("q_group_size") == nullptr ? "group_size" : "q_group_size";
  const int64_t group = fields.integer(key, -1, kMaxIntermediate);
  if (group == 0) fields.fail(key, "-1 (all input features) or the features of a group");
  config.format.group_size = static_cast<int>(group == -1 ? kMaxIntermediate : group);
  return config;
}

}  // namespace

ModelConfig ModelConfig::parse(const std::string& json_text, const std::string& source) {
  const Json json = parse_object(json_text, source);
  const Fields fields(json, source);
  ModelConfig config;
  read_architecture(fields, config);
  read_sizes(fields, config);
  read_rope(fields, config);
  check_variants(fields, config);
  config.tie_word_embeddings = fields.boolean_or("tie_word_embeddings", false);
  config.attention_bias = fields.boolean_or("attention_bias", false);
  config.dtype = read_dtype(fields);
  config.bos_token_id = fields.token_id("bos_token_id", config.vocab_size);
  config.pad_token_id = fields.token_id("pad_token_id", config.vocab_size);
  config.eos_token_ids = fields.token_ids("eos_token_id", config.vocab_size);
  if (fields.find("quantization_config") != nullptr) {
    const Fields quantization = fields.object("quantization_config");
    if (quantization.find("quant_method") == nullptr) quantization.fail("quant_method", kMethods);
    config.quantization = read_quantization(quantization);
  }
  config.demo = fields.boolean_or("qwen_thinking_demo", false);
  return config;
}

ModelConfig ModelConfig::load(const std::filesystem::path& model_dir) {
  check_model_directory(model_dir);
  const std::filesystem::path path = model_dir / "config.json";
  if (!has_entry(model_dir, "config.json"))
    throw Error(ErrorCode::kMissingFile, str(path.string(), ": no such file; point --model at a Hugging Face folder"));
  ModelConfig config = parse(read_text_file(path, kMaxJsonBytes), path.string());
  if (config.quantization.method.empty() && has_entry(model_dir, "quantize_config.json")) {  // older exporters
    const std::filesystem::path beside = model_dir / "quantize_config.json";
    const Json json = parse_object(read_text_file(beside, kMaxJsonBytes), beside.string());
    config.quantization = read_quantization(Fields(json, beside.string()));
  }
  return config;
}

int64_t ModelConfig::context_length() const {
  if (rope_scaling.type == RopeScaling::Type::kNone) return max_position_embeddings;
  const double stretched = static_cast<double>(rope_scaling.original_max_position_embeddings) * rope_scaling.factor;
  return std::clamp(static_cast<int64_t>(stretched), max_position_embeddings,
                    std::max(kMaxPositions, max_position_embeddings));
}

GenerationConfig GenerationConfig::parse(const std::string& json_text, const std::string& source,
                                         const ModelConfig& model) {
  const Json json = parse_object(json_text, source);
  const Fields fields(json, source);
  GenerationConfig config;
  config.do_sample = fields.boolean_or("do_sample", config.do_sample);
  config.temperature = fields.number_or("temperature", config.temperature, 0.0, 2.0);
  config.top_k = std::max<int64_t>(0, fields.integer_or("top_k", config.top_k, -1, kMaxVocab));  // -1 also means off
  config.top_p = fields.number_or("top_p", config.top_p, 1e-6, 1.0);
  config.min_p = fields.number_or("min_p", config.min_p, 0.0, 1.0);
  config.repetition_penalty = fields.number_or("repetition_penalty", config.repetition_penalty, 0.01, 10.0);
  config.eos_token_ids = fields.token_ids("eos_token_id", model.vocab_size);
  if (config.eos_token_ids.empty()) config.eos_token_ids = model.eos_token_ids;
  return config;
}

GenerationConfig GenerationConfig::load(const std::filesystem::path& model_dir, const ModelConfig& model) {
  if (!has_entry(model_dir, "generation_config.json")) return {.eos_token_ids = model.eos_token_ids};
  const std::filesystem::path path = model_dir / "generation_config.json";
  return parse(read_text_file(path, kMaxJsonBytes), path.string(), model);
}

}  // namespace qwen
