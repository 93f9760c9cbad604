// See engine.h. The thread runs a StepLoop; this file is the border around it.
#include "engine/engine.h"

#include <pthread.h>

#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "engine/inbox.h"
#include "engine/kv_sizing.h"
#include "engine/request_check.h"
#include "engine/step_loop.h"
#include "model/causal_lm.h"

namespace qwen {

namespace {

// What was asked for, cut to what the model's buffers hold.
EngineOptions effective_options(CausalLm& model, EngineOptions options) {
  const auto positive = [](int value, const char* name) {
    if (value < 1) throw Error(ErrorCode::kConfig, str(name, " is ", value, " but must be at least 1"), name);
  };
  positive(options.max_num_seqs, "max_num_seqs");
  positive(options.max_num_batched_tokens, "max_num_batched_tokens");
  options.max_waiting = std::max(options.max_waiting, 0);
  options.max_num_batched_tokens = std::min(options.max_num_batched_tokens, model.max_batched_tokens());
  options.max_num_seqs = std::min({options.max_num_seqs, model.max_logit_rows(), options.max_num_batched_tokens});
  if (options.block_size <= 0) options.block_size = model.backend().kv_block_size();
  const int vocab_size = static_cast<int>(model.config().vocab_size);
  if (options.num_valid_tokens <= 0 || options.num_valid_tokens > vocab_size) options.num_valid_tokens = vocab_size;
  return options;
}

KvSizing size_cache(CausalLm& model, const EngineOptions& options) {
  Backend& backend = model.backend();
  const ModelConfig& config = model.config();
  KvSizingInput input;
  input.bytes_per_token =
      static_cast<size_t>(config.num_hidden_layers) * backend.kv_bytes_per_token(backend.kv_dtype(), config.heads());
  input.free_memory = backend.free_memory() / static_cast<size_t>(std::max(options.processes, 1));
  input.kv_cache_bytes = options.kv_cache_bytes;
  input.block_size = options.block_size;
  input.max_num_seqs = options.max_num_seqs;
  input.max_model_len = options.max_model_len;
  input.model_max_len = static_cast<int>(std::min<int64_t>(config.context_length(), model.max_positions()));
  return size_kv_cache(input);
}

}  // namespace

struct Engine::Impl {
  Impl(std::unique_ptr<CausalLm> owned_model, const EngineOptions& asked)
      : model(std::move(owned_model)),
        options(effective_options(*model, asked)),
        sizing(size_cache(*model, options)),
        cache(model->backend(), model->backend().kv_dtype(), static_cast<int>(model->config().num_hidden_layers),
              sizing.num_blocks, options.block_size, model->config().heads()),
        inbox(options.max_num_seqs + options.max_waiting),
        loop(*model, cache, inbox, {options.max_num_seqs, options.max_num_batched_tokens}, options.num_valid_tokens),
        thread([this] {
          ::pthread_setname_np(::pthread_self(), "engine");
          loop.run();
        }) {}

  ~Impl() { shutdown(); }

  void shutdown() {
    inbox.close();
    const std::lock_guard lock(shutdown_mutex);
    if (thread.joinable()) thread.join();
  }

  std::unique_ptr<CausalLm> model;
  EngineOptions options;
  KvSizing sizing;
  KvCache cache;
  Inbox inbox;
  StepLoop loop;
  std::mutex shutdown_mutex;
  std::thread thread;
};

Engine::Engine(std::unique_ptr<CausalLm> model, const EngineOptions& options)
    : impl_(std::make_unique<Impl>(std::move(model), options)) {
  log_info("engine: ", impl_->sizing.max_model_len, " tokens per sequence, ", impl_->options.max_num_seqs,
           " sequences, ", impl_->sizing.num_blocks, " KV blocks of ", impl_->options.block_size, " tokens in ",
           dtype_name(impl_->model->backend().kv_dtype()));
}

Engine::~Engine() = default;

TokenStream Engine::submit(GenerationRequest request) {
  check_request(request, impl_->sizing.max_model_len, static_cast<int>(impl_->model->config().vocab_size));
  auto channel = std::make_shared<TokenChannel>(static_cast<int>(request.prompt.size()), std::move(request.on_events),
                                                impl_->inbox.cancel_signal());
  auto sequence = std::make_unique<Sequence>(RequestId{0}, std::move(request.prompt), std::move(request.sampling),
                                             impl_->sizing.max_model_len, std::move(request.constraint));
  const Inbox::Refusal refusal =
      impl_->inbox.submit({std::move(sequence), channel, request.deadline, request.start_by});
  switch (refusal) {
    case Inbox::Refusal::kNone:
      break;
    case Inbox::Refusal::kFull:
      throw Error(ErrorCode::kOverloaded, "too many requests are waiting; try again later");
    case Inbox::Refusal::kClosed:
      if (!stats().healthy) throw Error(ErrorCode::kTemporary, "the engine failed; the service has to be restarted");
      throw Error(ErrorCode::kDraining, "the service is shutting down");
  }
  return TokenStream(std::move(channel));
}

void Engine::set_on_step(std::function<void(const StepReport&)> on_step) {
  impl_->loop.set_on_step(std::move(on_step));
}

int Engine::max_model_len() const { return impl_->sizing.max_model_len; }

size_t Engine::kv_cache_bytes() const { return impl_->sizing.bytes; }

EngineStats Engine::stats() const { return impl_->loop.stats(); }

void Engine::shutdown() { impl_->shutdown(); }

}  // namespace qwen
