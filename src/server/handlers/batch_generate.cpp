// POST /batch_generate: several prompts with one set of fields, together in the engine's batch. Each prompt is answered
// as /generate would answer it alone (the same seed stands for each); one that fails has its error in its place.
// Admission is of all or none: where the engine's queue is full half-way, nothing runs.
//
// A stream's events: {"index","text"|"reasoning"}, {"index","finish_reason"} (and "timed_out") or {"index","error"}
// where a prompt ends, and last the whole answer.
#include "server/api/errors.h"
#include "server/api/json_writer.h"
#include "server/api/native_types.h"
#include "server/api/request_json.h"
#include "server/handlers/generation_session.h"
#include "server/handlers/handlers.h"
#include "server/handlers/native_text_request.h"
#include "server/http/sse_writer.h"

namespace qwen {
namespace {

// What concerns one prompt and not the others.
bool concerns_one_prompt(ErrorCode code) {
  return code == ErrorCode::kContextLengthExceeded || code == ErrorCode::kTooLarge ||
         code == ErrorCode::kInvalidValue || code == ErrorCode::kDeadlineExceeded;
}

class BatchFormat final : public AnswerFormat {
 public:
  BatchFormat(std::vector<std::string> prompts, std::shared_ptr<const LoadedModel> model,
              std::chrono::steady_clock::time_point started)
      : prompts_(std::move(prompts)), model_(std::move(model)), started_(started), errors_(prompts_.size()) {}

  // Before the session runs: prompt `index` got the next stream, or none.
  void accepted(size_t index) { prompt_of_.push_back(index); }
  void refused(size_t index, ApiError error) { errors_[index] = std::move(error); }

  std::string whole(const TextStreams& streams) override {
    std::vector<const Completion*> completions(prompts_.size());
    int64_t tokens = 0;
    for (size_t i = 0; i < streams.size(); ++i) {
      const Completion& completion = streams[i]->completion();
      completions[prompt_of_[i]] = &completion;
      if (!errors_[prompt_of_[i]]) tokens += completion.usage.completion_tokens;
    }
    JsonWriter json;
    json.begin_object().key("results").begin_array();
    for (size_t i = 0; i < prompts_.size(); ++i) {
      json.begin_object().field("index", i);
      if (errors_[i])
        write_error(json, *errors_[i]);
      else
        write_generate_answer(json, prompts_[i], *completions[i], model_->info);
      json.end_object();
    }
    json.end_array();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started_;
    json.key("total_time").fixed(elapsed.count(), 6).field("total_tokens", tokens);
    write_model_info(json, model_->info);
    json.end_object();
    return json.take();
  }

  void open(std::string& out) override {
    for (size_t i = 0; i < prompts_.size(); ++i)
      if (errors_[i]) append_error(out, i);
  }
  void delta(std::string& out, size_t index, const TextDelta& delta) override {
    if (!delta.reasoning.empty()) append_text(out, prompt_of_[index], "reasoning", delta.reasoning);
    if (!delta.content.empty()) append_text(out, prompt_of_[index], "text", delta.content);
  }
  void finished(std::string& out, size_t index, const Completion& completion) override {
    const size_t prompt = prompt_of_[index];
    if (errors_[prompt]) return append_error(out, prompt);
    JsonWriter json;
    json.begin_object().field("index", prompt);
    write_native_end(json, completion);
    append_sse_event(out, json.end_object().take());
  }
  void close(std::string& out, const TextStreams& streams) override { append_sse_event(out, whole(streams)); }

  // Where the service is shutting down or too busy, the client should ask all of it elsewhere or later.
  bool keeps_failure(size_t index, const ApiError& error) override {
    if (error.status == 503) return false;
    errors_[prompt_of_[index]] = error;
    return true;
  }

 private:
  static void append_text(std::string& out, size_t prompt, const char* name, const std::string& text) {
    append_sse_event(out, JsonWriter().begin_object().field("index", prompt).field(name, text).end_object().take());
  }
  void append_error(std::string& out, size_t prompt) const {
    JsonWriter json;
    json.begin_object().field("index", prompt);
    write_error(json, *errors_[prompt]);
    append_sse_event(out, json.end_object().take());
  }

  const std::vector<std::string> prompts_;
  const std::shared_ptr<const LoadedModel> model_;
  const std::chrono::steady_clock::time_point started_;
  std::vector<size_t> prompt_of_;                // by stream
  std::vector<std::optional<ApiError>> errors_;  // by prompt
};

void start_batch(const HandlerContext& context, Request& in, const ResponderPtr& out) {
  const BatchGenerateRequest batch =
      parse_batch_generate_request(parse_request(in.body), context.config.max_batch_prompts);
  const auto model = context.service.ready_model();
  auto owned = std::make_unique<BatchFormat>(batch.prompts, model, in.arrived);
  BatchFormat& format = *owned;
  const auto session = GenerationSession::create(out, std::move(owned), batch.shared.stream, in, context.running);
  const auto look_up_time = std::make_shared<LookUpTime>();
  TextStreams streams;  // dropped by whatever is thrown here, which cancels those that were accepted
  for (size_t i = 0; i < batch.prompts.size(); ++i) {
    TextRequest text = native_text_request(batch.shared, batch.prompts[i], context.config, *model, in);
    text.cache.look_up_time = look_up_time;
    if (!streams.empty()) text.max_wait = {};  // the batch has its turn when its first prompt has
    try {
      streams.push_back(context.service.start(std::move(text), session->on_events()));
      format.accepted(i);
    } catch (const Error& error) {
      const bool too_late_for_all = i == 0 && error.code() == ErrorCode::kDeadlineExceeded;
      if (too_late_for_all || !concerns_one_prompt(error.code())) throw;
      format.refused(i, to_api_error(std::current_exception(), in.request_id));
    }
  }
  session->run(std::move(streams));
}

}  // namespace

Handler batch_generate_handler(const HandlerContext& context) {
  return [&context](Request request, ResponderPtr responder) {
    context.service.ready_model();
    run_on_worker(context, std::move(request), std::move(responder),
                  [&context](Request& in, const ResponderPtr& out) { start_batch(context, in, out); });
  };
}

}  // namespace qwen
