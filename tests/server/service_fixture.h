// A GenerationService over the demo model's tokenizer and a FakeModel that says what the test tells it to.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "server/generation_service.h"
#include "support/fake_model.h"

namespace qwen::test {

class ScriptedService {
 public:
  explicit ScriptedService(EngineOptions options = {}, bool ready = true) : options_(options) {
    folder_ = std::filesystem::path(QWEN_SOURCE_DIR) / "models" / "demo";
    tokenizer_ = std::make_unique<Tokenizer>(Tokenizer::load(folder_));
    open_ = tokenizer_->encode("<|im_start|>assistant\n<think>\n");
    closed_ = tokenizer_->encode("<|im_start|>assistant\n<think>\n\n</think>\n\n");
    if (ready) make_ready();
  }

  ~ScriptedService() { service.shutdown(); }  // the model calls back into this object

  void make_ready() {
    FakeModelOptions fake;
    fake.vocab_size = 2048;
    fake.max_batched_tokens = 512;
    fake.max_logit_rows = 64;
    fake.max_positions = 4096;
    auto model = std::make_unique<FakeModel>(fake);
    control_ = model->control();
    LoadedModel loaded;
    loaded.tokenizer = std::make_unique<Tokenizer>(Tokenizer::load(folder_));
    loaded.chat_template = std::make_unique<ChatTemplate>(TemplateFamily::kThinking2507);
    loaded.engine = std::make_unique<Engine>(std::move(model), options_);
    loaded.info = {
        .name = "test-model", .architecture = "Qwen3ForCausalLM", .dtype = "bf16", .parameters = 7, .demo = true};
    loaded.default_sampling.temperature = 0.6f;
    loaded.default_sampling.top_k = 20;
    loaded.default_sampling.stop_token_ids = {id("<|im_end|>"), id("<|endoftext|>")};
    service.set_ready(std::move(loaded));
    say("The answer is 42。<|im_end|>", "Let me think.\n</think>\n\nThe answer is 42。<|im_end|>");
  }

  // What the model says after a prompt whose thought is closed, and after one that is open; also after a raw prompt
  // that ends in
  // <|endoftext|>. What it sees is kept for seen().
  void say(const std::string& closed, const std::string& open) {
    control_->set_next(
        [this, closed = tokenizer_->encode(closed), open = tokenizer_->encode(open)](std::span<const TokenId> context) {
          {
            const std::lock_guard lock(mutex_);
            seen_.assign(context.begin(), context.end());
          }
          const Start start = find_start(context);
          const auto& script = start.closed ? closed : open;
          return start.position < script.size() ? script[start.position] : id("<|im_end|>");
        });
  }

  // The model repeats the user's words for `tokens` tokens.
  void echo(size_t tokens) {
    control_->set_next(
        [this, tokens, user = tokenizer_->encode("<|im_start|>user\n")](std::span<const TokenId> context) {
          const Start start = find_start(context);
          const auto begin =
              std::search(context.begin(), context.end(), user.begin(), user.end()) + static_cast<long>(user.size());
          const auto end = std::find(begin, context.end(), id("<|im_end|>"));
          return start.position < tokens ? begin[static_cast<long>(start.position) % (end - begin)] : id("<|im_end|>");
        });
  }
  std::string echoed(const std::string& prompt, size_t tokens) const {
    const std::vector<TokenId> ids = tokenizer_->encode(prompt);
    std::vector<TokenId> result;
    for (size_t i = 0; i < tokens; ++i) result.push_back(ids[i % ids.size()]);
    return tokenizer_->decode(result, true);
  }

  std::vector<TokenId> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  TokenId id(const char* token) const { return *tokenizer_->token_id(token); }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  FakeModelControl& control() { return *control_; }
  bool idle() const {
    const EngineStats stats = service.stats();
    return stats.running == 0 && stats.waiting == 0 && stats.free_blocks == stats.total_blocks;
  }

  GenerationService service;

 private:
  struct Start {
    bool closed;
    size_t position;  // of the next token in the script
  };
  Start find_start(std::span<const TokenId> context) const {
    const auto ends = [&](const std::vector<TokenId>& marker) {
      const auto found = std::find_end(context.begin(), context.end(), marker.begin(), marker.end());
      return found == context.end() ? size_t{0} : static_cast<size_t>(found - context.begin()) + marker.size();
    };
    const size_t after_open = ends(open_), after_closed = ends(closed_), after_raw = ends({id("<|endoftext|>")});
    if (after_closed > after_open) return {true, context.size() - after_closed};
    // The closed prompt may begin like the open one; the last turn's beginning tells them apart.
    if (after_open > 0 && after_closed + 2 < after_open) return {false, context.size() - after_open};
    if (after_closed > 0) return {true, context.size() - after_closed};
    return {true, context.size() - after_raw};
  }

  EngineOptions options_;
  std::filesystem::path folder_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::vector<TokenId> open_, closed_;
  std::shared_ptr<FakeModelControl> control_;
  mutable std::mutex mutex_;
  std::vector<TokenId> seen_;
};

}  // namespace qwen::test
