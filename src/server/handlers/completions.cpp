// POST /v1/completions: OpenAI's text completions, without template and without telling thought from answer.
#include "server/api/completion_types.h"
#include "server/api/request_json.h"
#include "server/api/token_ids.h"
#include "server/handlers/generation_session.h"
#include "server/handlers/handlers.h"
#include "server/handlers/openai_text_request.h"
#include "server/http/sse_writer.h"

namespace qwen {
namespace {

class CompletionFormat final : public AnswerFormat {
 public:
  CompletionFormat(OpenAiHead head, const CompletionRequest& request, std::vector<std::string> echo)
      : head_(std::move(head)),
        n_(static_cast<size_t>(request.n)),
        include_usage_(request.stream.include_usage),
        echo_(std::move(echo)) {}

  std::string whole(const TextStreams& streams) override { return text_completion_json(head_, streams, n_, echo_); }

  void open(std::string& out) override {
    for (size_t i = 0; i < echo_.size() * n_; ++i)
      append_sse_event(out, text_completion_chunk(head_, i, echo_[i / n_]));
  }
  void delta(std::string& out, size_t index, const TextDelta& delta) override {
    append_sse_event(out, text_completion_chunk(head_, index, delta.content));
  }
  void finished(std::string& out, size_t index, const Completion& completion) override {
    append_sse_event(out, text_completion_chunk(head_, index, "", &completion));
  }
  void close(std::string& out, const TextStreams& streams) override {
    if (include_usage_) append_sse_event(out, text_completion_usage_chunk(head_, streams, n_));
  }

 private:
  const OpenAiHead head_;
  const size_t n_;
  const bool include_usage_;
  const std::vector<std::string> echo_;  // by prompt; empty where not asked for
};

std::vector<std::string> prompt_texts(const CompletionRequest& request, const Tokenizer& tokenizer) {
  std::vector<std::string> texts;
  for (const CompletionPrompt& prompt : request.prompts)
    texts.push_back(prompt.ids.empty() ? prompt.text : tokenizer.decode(prompt.ids, false));
  return texts;
}

void start_completion(const HandlerContext& context, Request& in, const ResponderPtr& out) {
  CompletionRequest request = parse_completion_request(parse_request(in.body), context.config.max_batch_prompts);
  const auto model = context.service.ready_model();
  check_model_name(request.model, model->info);
  for (const CompletionPrompt& prompt : request.prompts)
    check_token_ids(prompt.ids, model->tokenizer->vocab_size(), prompt.param);
  auto format = std::make_unique<CompletionFormat>(
      new_openai_head("cmpl-", model->info), request,
      request.echo ? prompt_texts(request, *model->tokenizer) : std::vector<std::string>());
  const auto session = GenerationSession::create(out, std::move(format), request.stream.stream, in, context.running);
  const auto look_up_time = std::make_shared<LookUpTime>();
  TextStreams streams;  // dropped by whatever is thrown here, which cancels those that were accepted
  for (CompletionPrompt& prompt : request.prompts) {
    TextRequest text =
        openai_text_request(request.sampling, request.logit_bias, request.max_tokens, context.config, *model, in);
    text.cache.look_up_time = look_up_time;
    if (!streams.empty()) text.max_wait = {};  // the request has its turn when its first prompt has
    if (prompt.ids.empty()) text.raw_prompt = std::move(prompt.text);
    text.prompt_ids = std::move(prompt.ids);
    text.default_max_tokens = kDefaultCompletionTokens;
    text.separate_thought = false;
    text.thinking = to_thinking_request(request.limits);
    text.deadline = deadline_of(request.limits, in.arrived, context.config.request_timeout);
    for (auto& stream : context.service.start_samples(std::move(text), request.n, session->on_events()))
      streams.push_back(std::move(stream));
  }
  session->run(std::move(streams));
}

}  // namespace

Handler completions_handler(const HandlerContext& context) {
  return [&context](Request request, ResponderPtr responder) {
    context.service.ready_model();
    run_on_worker(context, std::move(request), std::move(responder),
                  [&context](Request& in, const ResponderPtr& out) { start_completion(context, in, out); });
  };
}

}  // namespace qwen
