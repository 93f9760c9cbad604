#include "server/http/exchange.h"

#include "server/api/errors.h"

namespace qwen {

template <typename Call>
void Exchange::on_sink(Call call) {
  auto task = [sink = sink_, call = std::move(call)]() mutable {
    if (const auto alive = sink.lock()) call(*alive);
  };
  loop_->on_thread() ? task() : static_cast<void>(loop_->post(std::move(task)));
}

// Where even this fails the connection notices that nobody is left to answer.
Exchange::~Exchange() {
  if (answered_ || gone_) return;
  try {
    answer_for_the_handler();
  } catch (const std::exception&) {
  }
}

void Exchange::answer_for_the_handler() {
  const auto error = std::make_exception_ptr(Error(ErrorCode::kInternal, "a handler ended without an answer"));
  const Response response = error_response(to_api_error(error, request_id_));
  loop_->post([sink = sink_, number = number_, response] {
    if (const auto alive = sink.lock()) alive->answer(number, response);
  });
}

void Exchange::send(Response response) {
  answered_ = true;
  on_sink([number = number_, response = std::move(response)](AnswerSink& sink) mutable {
    sink.answer(number, std::move(response));
  });
}

void Exchange::begin_stream(Response head, std::string heartbeat) {
  on_sink([number = number_, head = std::move(head), heartbeat = std::move(heartbeat)](AnswerSink& sink) mutable {
    sink.begin_stream(number, std::move(head), std::move(heartbeat));
  });
}

void Exchange::write(std::string bytes) {
  on_sink([number = number_, bytes = std::move(bytes)](AnswerSink& sink) mutable {
    sink.write_stream(number, std::move(bytes));
  });
}

void Exchange::finish(std::string code) {
  answered_ = true;
  on_sink([number = number_, code = std::move(code)](AnswerSink& sink) mutable {
    sink.finish_stream(number, std::move(code));
  });
}

void Exchange::count_tokens(TokenCount tokens) {
  on_sink([number = number_, tokens](AnswerSink& sink) { sink.count_tokens(number, tokens); });
}

void Exchange::on_disconnect(std::function<void()> callback) {
  loop_->dispatch([self = shared_from_this(), callback = std::move(callback)]() mutable {
    if (self->complete_) return;
    if (self->gone_)
      callback();
    else
      self->on_disconnect_ = std::move(callback);
  });
}

void Exchange::complete() {
  complete_ = true;
  const auto dropped = std::move(on_disconnect_);
  on_disconnect_ = nullptr;
}

void Exchange::disconnected() {
  if (complete_ || gone_.exchange(true)) return;
  const auto callback = std::move(on_disconnect_);
  on_disconnect_ = nullptr;
  if (callback) callback();
}

}  // namespace qwen
