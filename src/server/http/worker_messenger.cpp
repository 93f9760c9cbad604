#include "server/http/worker_messenger.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "server/http/request_id.h"

namespace qwen {

namespace asio = boost::asio;

namespace {

constexpr int kMessagesAtOnce = 64;  // then others have their turn

// Answers to the questions of a process that is no more must not be taken for those to its successor.
uint64_t first_ticket() {
  std::random_device device;
  return static_cast<uint64_t>(device()) << 32;
}

}  // namespace

struct WorkerMessenger::Reader {
  Reader(asio::io_context& context, int socket) : descriptor(context, socket) {}
  asio::posix::stream_descriptor descriptor;
};

WorkerMessenger::WorkerMessenger(std::shared_ptr<IoLoop> loop, std::shared_ptr<const WorkerSeat> seat,
                                 std::shared_ptr<const RunningRequests> running)
    : loop_(std::move(loop)), seat_(std::move(seat)), running_(std::move(running)), next_ticket_(first_ticket()) {
  FileDescriptor own(::fcntl(seat_->mailboxes->reading(), F_DUPFD_CLOEXEC, 0));
  if (!own.valid()) throw Error(ErrorCode::kOs, str("workers: ", std::strerror(errno)));
  reader_ = std::make_unique<Reader>(loop_->context(), own.get());
  own.release();
}

WorkerMessenger::~WorkerMessenger() = default;

std::shared_ptr<WorkerMessenger> WorkerMessenger::create(std::shared_ptr<IoLoop> loop,
                                                         std::shared_ptr<const WorkerSeat> seat,
                                                         std::shared_ptr<const RunningRequests> running) {
  const std::shared_ptr<WorkerMessenger> made(
      new WorkerMessenger(std::move(loop), std::move(seat), std::move(running)));
  made->loop_->at_end([messenger = std::weak_ptr(made)] {
    const auto alive = messenger.lock();
    if (!alive) return;
    alive->reader_.reset();
    std::exchange(alive->questions_, {});
  });
  made->loop_->post([made] {
    made->loop_->add(made);
    made->wait();
  });
  return made;
}

void WorkerMessenger::wait() {
  if (!reader_) return;
  reader_->descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                 [self = shared_from_this()](const boost::system::error_code& error) {
                                   if (!error) self->read();
                                 });
}

void WorkerMessenger::read() {
  std::array<char, 1024> bytes;
  for (int i = 0; reader_ && i < kMessagesAtOnce; ++i) {
    const ssize_t size = ::recv(reader_->descriptor.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (size < 0) break;
    try {
      const auto message = decode({bytes.data(), static_cast<size_t>(size)});
      if (!message || message->from >= seat_->board->workers()) continue;
      message->kind == ControlMessage::Kind::kQuestion ? take_question(*message) : take_answer(*message);
    } catch (const std::exception& error) {  // out of memory: whoever asked is told that this worker was silent
      log_error("a control request was lost: ", error.what());
    }
  }
  wait();
}

void WorkerMessenger::ask(ControlRequest request, bool found, std::shared_ptr<ControlTally> tally) {
  if (found && worker_of_request_id(request.id) == seat_->place) return;
  loop_->post([self = shared_from_this(), request = std::move(request), tally = std::move(tally)]() mutable {
    self->send_questions(request, std::move(tally));
  });
}

// A worker that is not there, or still loads, has no requests.
void WorkerMessenger::send_questions(const ControlRequest& request, std::shared_ptr<ControlTally> tally) {
  const WorkerBoard& board = *seat_->board;
  Question question;
  question.at_home = worker_of_request_id(request.id);
  question.until = std::chrono::steady_clock::now() + kPatience;
  const ControlMessage message{.from = seat_->place, .ticket = next_ticket_++, .request = request, .outcome = {}};
  const std::string bytes = encode(message);
  ControlOutcome unheard;
  for (int place = 0; place < board.workers(); ++place) {
    const WorkerState state = board.state(place);
    if (place == seat_->place || state == WorkerState::kDown || state == WorkerState::kLoading) continue;
    const bool asked = questions_.size() < kMostQuestions && seat_->mailboxes->send(place, bytes);
    if (asked)
      question.waiting_for.push_back(place);
    else if (question.needs(place))
      ++unheard.silent;
  }
  tally->add(unheard);
  if (question.waiting_for.empty()) return;
  question.tally = std::move(tally);
  questions_.emplace(message.ticket, std::move(question));
}

void WorkerMessenger::take_question(const ControlMessage& question) const {
  const auto answer = [seat = seat_, to = question.from, ticket = question.ticket](const ControlOutcome& outcome) {
    const ControlMessage message{.kind = ControlMessage::Kind::kAnswer,
                                 .from = seat->place,
                                 .ticket = ticket,
                                 .request = {},
                                 .outcome = outcome};
    seat->mailboxes->send(to, encode(message));  // what is not taken is missed by who asked, after a while
  };
  running_->control(question.request, std::make_shared<ControlTally>(answer));
}

void WorkerMessenger::take_answer(const ControlMessage& answer) {
  const auto found = questions_.find(answer.ticket);
  if (found == questions_.end() || std::erase(found->second.waiting_for, answer.from) == 0) return;
  Question& question = found->second;
  question.tally->add(answer.outcome);
  const bool found_at_home = question.at_home == answer.from && answer.outcome.requests > 0;
  if (found_at_home || question.waiting_for.empty()) questions_.erase(found);
}

void WorkerMessenger::tick(TimePoint now) {
  for (auto next = questions_.begin(); next != questions_.end();) {
    const auto entry = next++;
    const Question& question = entry->second;
    if (now < question.until) continue;
    const auto silent = std::count_if(question.waiting_for.begin(), question.waiting_for.end(),
                                      [&](int place) { return question.needs(place); });
    question.tally->add({.silent = static_cast<int32_t>(silent)});
    questions_.erase(entry);
  }
}

void WorkerMessenger::abort() {
  reader_.reset();
  std::exchange(questions_, {});
}

}  // namespace qwen
