#include "commands/model_loading.h"

#include <chrono>
#include <cstdio>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "commands/format_number.h"
#include "commands/load_service.h"

namespace qwen {
namespace {

struct Stopped {};

void say_ready(const std::string& who, const LoadedModel& model, double seconds) {
  const ModelInfo& info = model.info;
  say(str(who, "ready: ", info.name, ", ", grouped(info.parameters), " parameters, ",
          info.quantization == "none" ? info.dtype : info.quantization, ", ", info.device, ", kernels ", info.kernels,
          ", context ", grouped(model.engine->max_model_len()), ", loaded in ", fixed(seconds, 1), " s"));
  if (info.demo) say("This is a demonstration model: it knows a little arithmetic and cryptography, and nothing else.");
}

}  // namespace

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
  log_to_files(LogLevel::kInfo, line);
}

ModelLoading::ModelLoading(const ServiceConfig& config, GenerationService& service, ServiceSignals& signals,
                           std::string who, std::function<void(const LoadedModel&)> on_loaded)
    : who_(std::move(who)), on_loaded_(std::move(on_loaded)) {
  thread_ = std::thread([this, &config, &service, &signals] {
    try {
      load(config, service);
    } catch (...) {
      failure_ = std::current_exception();
    }
    signals.wake();
  });
}

void ModelLoading::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

std::exception_ptr ModelLoading::failure_after_wake() {
  if (thread_.joinable()) thread_.join();
  return failure_;
}

void ModelLoading::load(const ServiceConfig& config, GenerationService& service) {
  const auto start = std::chrono::steady_clock::now();
  std::optional<ProgressBar> bar("loading");
  LoadedModel model;
  try {
    model = load_service_model(config, [&](uint64_t done, uint64_t total) {
      if (stopping_) throw Stopped{};
      bar->update(done, total);
      service.set_progress(done, total);
    });
  } catch (const Stopped&) {
    return;
  }
  bar.reset();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (on_loaded_) on_loaded_(model);
  service.set_ready(std::move(model));
  say_ready(who_, *service.model(), seconds);
}

}  // namespace qwen
