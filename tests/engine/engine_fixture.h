// An engine over a FakeModel, and reading streams to their end.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "support/fake_model.h"

namespace qwen {

using namespace std::chrono_literals;

struct Answer {
  std::vector<TokenId> ids;
  std::vector<float> logprobs;
  FinishReason reason = FinishReason::kNone;  // kNone: it never ended
  std::string error;
  friend bool operator==(const Answer&, const Answer&) = default;
};

inline Answer read_all(TokenStream& stream) {
  Answer answer;
  while (auto event = stream.next(20s)) {
    if (event->id >= 0) {
      answer.ids.push_back(event->id);
      answer.logprobs.push_back(event->logprob);
    }
    answer.reason = event->finish_reason;
    answer.error = event->error;
    if (answer.reason != FinishReason::kNone) break;
  }
  return answer;
}

class EngineTest : public testing::Test {
 protected:
  void start(EngineOptions options = {}, const FakeModelOptions& model_options = {}) {
    auto model = std::make_unique<FakeModel>(model_options);
    control_ = model->control();
    engine_ = std::make_unique<Engine>(std::move(model), options);
  }

  static GenerationRequest request(std::vector<TokenId> prompt, int max_tokens) {
    GenerationRequest request;
    request.prompt = std::move(prompt);
    request.sampling.max_tokens = max_tokens;
    return request;
  }

  Answer answer(GenerationRequest request) {
    TokenStream stream = engine_->submit(std::move(request));
    return read_all(stream);
  }

  // The engine has nothing left to do and every block is free.
  bool becomes_idle() const {
    for (int i = 0; i < 5000; ++i) {
      const EngineStats stats = engine_->stats();
      if (stats.running == 0 && stats.waiting == 0 && stats.free_blocks == stats.total_blocks) return true;
      std::this_thread::sleep_for(1ms);
    }
    return false;
  }

  std::shared_ptr<FakeModelControl> control_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace qwen
