// Carries control requests from one worker process to the others, over their mailboxes: asks all that may know the id,
// and answers what they ask. Everything happens on one I/O thread and nothing waits: a process that does not answer
// within kPatience is counted as silent. Invariant: what is kept of questions under way is bounded.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "server/control/control_message.h"
#include "server/control/running_requests.h"
#include "server/http/io_loop.h"
#include "server/workers/worker_board.h"

namespace qwen {

class WorkerMessenger final : public LoopMember, public std::enable_shared_from_this<WorkerMessenger> {
 public:
  static constexpr std::chrono::milliseconds kPatience{1000};
  static constexpr size_t kMostQuestions = 1024;  // under way

  // A worker's, before its loop is started. Errors: kOs.
  static std::shared_ptr<WorkerMessenger> create(std::shared_ptr<IoLoop> loop, std::shared_ptr<const WorkerSeat> seat,
                                                 std::shared_ptr<const RunningRequests> running);
  ~WorkerMessenger() override;

  // Asks the other workers; `tally` is held until they have said what they have to say. `found`: this one has such a
  // request; where the id is of its own making nobody else is asked. Any thread.
  void ask(ControlRequest request, bool found, std::shared_ptr<ControlTally> tally);

  void tick(TimePoint now) override;
  void drain() override {}
  void abort() override;

 private:
  struct Reader;
  struct Question {
    std::shared_ptr<ControlTally> tally;
    std::vector<int> waiting_for;  // places
    std::optional<int> at_home;    // the worker that the id names: nobody else's silence matters
    TimePoint until;

    bool needs(int place) const { return !at_home || *at_home == place; }
  };

  WorkerMessenger(std::shared_ptr<IoLoop> loop, std::shared_ptr<const WorkerSeat> seat,
                  std::shared_ptr<const RunningRequests> running);
  void wait();
  void read();
  void send_questions(const ControlRequest& request, std::shared_ptr<ControlTally> tally);
  void take_question(const ControlMessage& question) const;
  void take_answer(const ControlMessage& answer);

  const std::shared_ptr<IoLoop> loop_;
  const std::shared_ptr<const WorkerSeat> seat_;
  const std::shared_ptr<const RunningRequests> running_;
  std::unique_ptr<Reader> reader_;  // gone with the loop; I/O thread only, as what follows
  std::map<uint64_t, Question> questions_;
  uint64_t next_ticket_;
};

}  // namespace qwen
