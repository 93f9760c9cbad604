// Every thread computes and writes its own chunks; the index is written last, so that an interrupted run does not look
// complete.
#include "synthetic_model/model_writer.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "base/error.h"
#include "model/model_config.h"
#include "model/tensor_names.h"
#include "weights/safetensors_writer.h"
#include "weights/synthetic_recipe.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr uint64_t kChunkElements = 4 << 20;

struct Shard {
  std::string file;
  std::vector<ExpectedTensor> tensors;
  uint64_t bytes = 0;
};

std::vector<Shard> plan_shards(const ModelConfig& config, uint64_t max_shard_bytes) {
  std::vector<Shard> shards(1);
  for (const ExpectedTensor& tensor : expected_tensors(config)) {
    if (tensor.optional) continue;
    const uint64_t bytes = static_cast<uint64_t>(tensor.shape.num_elements()) * dtype_size(config.dtype);
    if (!shards.back().tensors.empty() && shards.back().bytes + bytes > max_shard_bytes) shards.emplace_back();
    shards.back().tensors.push_back(tensor);
    shards.back().bytes += bytes;
  }
  for (size_t i = 0; i < shards.size(); ++i) {
    char name[64] = "model.safetensors";
    if (shards.size() > 1) std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", i + 1, shards.size());
    shards[i].file = name;
  }
  return shards;
}

void write_text(const fs::path& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (!out) throw Error(ErrorCode::kCannotCreate, path.string() + ": cannot write the file");
}

void prepare_folder(const fs::path& folder, uint64_t bytes) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    throw Error(ErrorCode::kCannotCreate, str(folder.string(), ": cannot create the folder: ", error.message()));
  if (!fs::is_empty(folder))
    throw Error(ErrorCode::kCannotCreate,
                folder.string() + ": the folder is not empty; remove it or choose another --output");
  constexpr uint64_t kReserve = 64 << 20;
  const uint64_t available = fs::space(folder).available;
  if (available < bytes + kReserve)
    throw Error(ErrorCode::kCannotCreate,
                str(folder.string(), ": the weights need ", bytes, " bytes, the disk has ", available, " free"));
}

std::string generation_config_json(const ModelConfig& config) {
  std::vector<TokenId> eos = config.eos_token_ids;
  if (config.bos_token_id && std::find(eos.begin(), eos.end(), *config.bos_token_id) == eos.end())
    eos.push_back(*config.bos_token_id);
  Json json = {{"do_sample", true}, {"temperature", 0.6}, {"top_k", 20}, {"top_p", 0.95}};
  if (!eos.empty()) json["eos_token_id"] = eos;
  return json.dump(2) + "\n";
}

// One file: every thread takes the next chunk, computes it and writes it at its place.
class ShardJob {
 public:
  ShardJob(const fs::path& folder, const Shard& shard, const ModelConfig& config, const SyntheticModelOptions& options)
      : writer_(folder / shard.file), dtype_(config.dtype) {
    const SyntheticStyle style{.seed = options.seed,
                               .hidden_size = config.hidden_size,
                               .num_hidden_layers = config.num_hidden_layers,
                               .tie_word_embeddings = config.tie_word_embeddings,
                               .outliers = options.outliers};
    writer_.set_metadata("format", "pt");
    for (const ExpectedTensor& tensor : shard.tensors) {
      const size_t index = writer_.declare(tensor.name, dtype_, tensor.shape);
      recipes_.push_back(synthetic_tensor(tensor.name, tensor.shape, style));
      const auto elements = static_cast<uint64_t>(tensor.shape.num_elements());
      for (uint64_t begin = 0; begin < elements; begin += kChunkElements)
        chunks_.push_back({index, begin, std::min(begin + kChunkElements, elements)});
    }
  }

  void run(int num_threads, const std::function<void(uint64_t)>& report) {
    writer_.begin();
    std::vector<std::jthread> threads;
    for (int i = 0; i < num_threads; ++i) threads.emplace_back([&, i] { work(i == 0 ? report : nullptr); });
    threads.clear();  // joins
    if (failure_) std::rethrow_exception(failure_);
    writer_.finish();
  }

 private:
  struct Chunk {
    size_t tensor;
    uint64_t begin, end;
  };

  void work(const std::function<void(uint64_t)>& report) {
    const size_t element = dtype_size(dtype_);
    std::vector<std::byte> buffer(kChunkElements * element);
    try {
      for (size_t i; (i = next_++) < chunks_.size();) {
        const Chunk& chunk = chunks_[i];
        fill_synthetic(recipes_[chunk.tensor], chunk.begin, chunk.end, dtype_, buffer.data());
        const size_t bytes = (chunk.end - chunk.begin) * element;
        writer_.write_at(chunk.tensor, chunk.begin * element, std::span(buffer).first(bytes));
        done_ += bytes;
        if (report) report(done_);
      }
    } catch (...) {
      const std::lock_guard lock(failure_mutex_);
      failure_ = std::current_exception();
      next_ = chunks_.size();
    }
  }

  SafetensorsWriter writer_;
  DType dtype_;
  std::vector<SyntheticTensor> recipes_;  // by the writer's tensor numbers
  std::vector<Chunk> chunks_;
  std::atomic<size_t> next_{0};
  std::atomic<uint64_t> done_{0};
  std::mutex failure_mutex_;
  std::exception_ptr failure_;  // guarded by failure_mutex_ until the threads have joined
};

}  // namespace

WrittenModel write_synthetic_model(const fs::path& folder, const std::string& config_json,
                                   const SyntheticModelOptions& options, const ProgressFn& progress) {
  const ModelConfig config = ModelConfig::parse(config_json, "config.json");
  const std::vector<Shard> shards = plan_shards(config, options.max_shard_bytes);
  WrittenModel written{.parameters = parameter_count(config), .weight_files = shards.size()};
  for (const Shard& shard : shards) written.weight_bytes += shard.bytes;

  prepare_folder(folder, written.weight_bytes);
  write_text(folder / "config.json", config_json);
  write_text(folder / "generation_config.json", generation_config_json(config));
  uint64_t finished = 0;
  Json weight_map = Json::object();
  for (const Shard& shard : shards) {
    ShardJob(folder, shard, config, options).run(options.threads, [&](uint64_t done) {
      progress(finished + done, written.weight_bytes);
    });
    finished += shard.bytes;
    for (const ExpectedTensor& tensor : shard.tensors) weight_map[tensor.name] = shard.file;
  }
  // Last, so that an interrupted run does not look complete.
  if (shards.size() > 1) {
    const Json index = {{"metadata", {{"total_size", written.weight_bytes}}}, {"weight_map", weight_map}};
    write_text(folder / "model.safetensors.index.json", index.dump(2) + "\n");
  }
  progress(written.weight_bytes, written.weight_bytes);
  return written;
}

}  // namespace qwen
