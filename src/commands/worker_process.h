// Starting a worker: this program anew with the same arguments, on the supervisor's port and board. It gets a signal
// when its supervisor dies, and none of the supervisor's terminal.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "server/service_config.h"
#include "server/workers/worker_board.h"

namespace qwen {

// Of the supervisor, whose seat it is: starts the worker of that place. `gpu`: the device that it alone may see; empty
// = all. Errors: kOs.
pid_t start_worker(const WorkerSeat& supervisor, int place, int listening_socket, const std::string& gpu);

// Of a worker: its seat; null in a process that is none. To be called once, before anything opens a file.
std::shared_ptr<const WorkerSeat> inherited_seat();

// A worker's part of what is configured for the service: cores, connections, its GPU; the ports are the supervisor's.
ServiceConfig worker_config(ServiceConfig config, int place, int workers, int cores);
// The same with a KV cache as large as the other workers', whatever memory is free now.
ServiceConfig worker_config(ServiceConfig config, const WorkerSeat& seat, int cores);

// With several devices in CUDA_VISIBLE_DEVICES' list each worker gets one, in turn; empty where there is no choice.
std::string gpu_of_worker(const ServiceConfig& config, int place);

}  // namespace qwen
