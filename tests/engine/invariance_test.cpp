// The property that guards the engine: scheduling never changes a result. A real model with random weights answers
// random requests, some with a thinking budget, alone, batched, in tiny chunks, with few blocks (so that requests are
// preempted and recomputed) and with other thread counts: the same tokens and the same bits in every logprob, with
// every kernel table and an int8 KV cache as well.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "backend/create.h"
#include "engine/engine_fixture.h"
#include "engine/thinking_constraint.h"
#include "model/registry.h"
#include "support/tiny_checkpoint.h"
#include "weights/checkpoint.h"

namespace qwen {
namespace {

constexpr int kLongPrompt = 1090;  // beyond one attention partition
constexpr int kMaxModelLen = 1200;

struct Variant {
  const char* name;
  int threads = 1;
  int max_num_seqs = 16;
  int max_num_batched_tokens = 512;
  int num_blocks = 0;  // 0 = as many as are useful
  bool one_by_one = false;
};

struct InvarianceCase {
  std::string kernels, kv_cache_dtype;
};

class Invariance : public testing::TestWithParam<InvarianceCase> {
 protected:
  static void SetUpTestSuite() {
    TinyModel shape;
    shape.hidden_size = 96;
    shape.intermediate_size = 136;
    shape.num_attention_heads = 6;
    shape.num_key_value_heads = 2;
    shape.head_dim = 24;
    shape.attention_bias = true;
    shape.dtype = DType::kBF16;
    folder_ = std::make_unique<TinyCheckpoint>(shape);
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::unique_ptr<TokenConstraint> thinking(int budget, TokenId stop) {
    ThinkingVocabulary vocabulary;
    vocabulary.tags = {500, 501};
    vocabulary.closing = {10, 11, 12, 13, 14, 15, 501, 10};
    vocabulary.short_closing = {10, 501, 10};
    vocabulary.stop_tokens = {stop};
    vocabulary.bytes = [](TokenId) { return std::string_view("w"); };
    const ThinkingLimits limits{.budget = budget, .loop_guard = true};
    return std::make_unique<ThinkingConstraint>(ThinkingBudget(std::move(vocabulary), limits, true),
                                                std::make_shared<ThoughtLink>());
  }

  static std::vector<GenerationRequest> make_requests() {
    std::mt19937 random(7);
    const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
    std::vector<GenerationRequest> requests;
    for (int i = 0; i < 14; ++i) {
      GenerationRequest request;
      request.prompt.resize(static_cast<size_t>(i == 12 ? kLongPrompt : pick(1, 150)));
      for (TokenId& id : request.prompt) id = pick(0, 511);
      SamplingParams& sampling = request.sampling;
      sampling.seed = static_cast<uint64_t>(pick(0, 3));
      sampling.max_tokens = pick(40, 110);
      sampling.temperature = 0.3f * static_cast<float>(pick(0, 4));
      sampling.top_k = pick(0, 1) * 20;
      sampling.top_p = pick(0, 1) ? 0.9f : 1.0f;
      sampling.repetition_penalty = pick(0, 1) ? 1.1f : 1.0f;
      sampling.presence_penalty = pick(0, 1) ? 0.5f : 0.0f;
      sampling.stop_token_ids = {pick(0, 511)};
      if (i % 3 == 0) request.constraint = thinking(pick(0, 40), sampling.stop_token_ids[0]);
      requests.push_back(std::move(request));
    }
    return requests;
  }

  std::vector<Answer> answers(const Variant& variant) {
    const Checkpoint checkpoint = Checkpoint::open(folder_->folder());
    BackendOptions backend;
    backend.kernels = GetParam().kernels;
    backend.kv_cache_dtype = GetParam().kv_cache_dtype;
    backend.threads = variant.threads;
    const ModelConfig config = ModelConfig::load(folder_->folder());
    auto model = load_model(checkpoint, config, create_backend(backend), {512, 16, kMaxModelLen});
    EngineOptions options;
    options.max_model_len = kMaxModelLen;
    options.max_num_seqs = variant.max_num_seqs;
    options.max_num_batched_tokens = variant.max_num_batched_tokens;
    options.block_size = model->backend().kv_block_size();
    if (variant.num_blocks > 0) {
      const size_t per_token = model->backend().kv_bytes_per_token(model->backend().kv_dtype(), {6, 2, 24});
      options.kv_cache_bytes =
          static_cast<size_t>(variant.num_blocks * options.block_size * config.num_hidden_layers) * per_token;
    }
    Engine engine(std::move(model), options);
    std::vector<Answer> result;
    std::vector<TokenStream> streams;
    for (GenerationRequest& request : make_requests()) {
      streams.push_back(engine.submit(std::move(request)));
      if (variant.one_by_one) result.push_back(read_all(streams.back()));
    }
    if (!variant.one_by_one) {
      for (TokenStream& stream : streams) result.push_back(read_all(stream));
    }
    preemptions_ = engine.stats().preemptions;
    return result;
  }

  uint64_t preemptions_ = 0;
  static std::unique_ptr<TinyCheckpoint> folder_;
};

std::unique_ptr<TinyCheckpoint> Invariance::folder_;

TEST_P(Invariance, SchedulingChangesNothing) {
  const std::vector<Answer> alone = answers({"alone", 1, 1, 512, 0, true});
  for (const Answer& answer : alone)
    ASSERT_TRUE(answer.reason == FinishReason::kLength || answer.reason == FinishReason::kStop);
  for (const Variant& variant : {Variant{"batched, two threads", 2}, Variant{"tiny chunks, three threads", 3, 16, 17},
                                 Variant{"few blocks", 1, 16, 64, 20}}) {
    const std::vector<Answer> together = answers(variant);
    for (size_t i = 0; i < alone.size(); ++i) {
      EXPECT_EQ(together[i].ids, alone[i].ids) << variant.name << ", request " << i;
      EXPECT_EQ(together[i].reason, alone[i].reason) << variant.name << ", request " << i;
      ASSERT_EQ(together[i].logprobs.size(), alone[i].logprobs.size());
      EXPECT_EQ(
          std::memcmp(together[i].logprobs.data(), alone[i].logprobs.data(), alone[i].logprobs.size() * sizeof(float)),
          0)
          << variant.name << ", request " << i;
    }
    if (variant.num_blocks > 0) {
      EXPECT_GT(preemptions_, 0u);
    }
  }
}

std::vector<InvarianceCase> cases() {
  std::vector<InvarianceCase> cases;
  for (const std::string& kernels : available_kernels()) {
    for (const char* kv_cache_dtype : {"auto", "int8"}) cases.push_back({kernels, kv_cache_dtype});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Kernels, Invariance, testing::ValuesIn(cases()),
                         [](const auto& c) { return c.param.kernels + "_" + c.param.kv_cache_dtype; });

}  // namespace
}  // namespace qwen
