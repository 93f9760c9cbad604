#include "commands/gptq_report.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace qwen {
namespace {

constexpr size_t kModulesPerLayer = 7;

struct Means {
  double error = 0, nearest_error = 0;
};

Means means_of(const std::vector<GptqModuleReport>& modules) {
  Means means;
  for (const GptqModuleReport& module : modules) {
    means.error += module.error / static_cast<double>(modules.size());
    means.nearest_error += module.nearest_error / static_cast<double>(modules.size());
  }
  return means;
}

std::string cell(double error, double nearest_error) {
  char text[48];
  std::snprintf(text, sizeof text, "%9.4f %4.1fx", 100 * error, error > 0 ? nearest_error / error : 1.0);
  return text;
}

}  // namespace

std::string gptq_table(const std::vector<GptqModuleReport>& modules) {
  std::string table = "relative output error in percent, and how many times smaller than plain rounding's:\nlayer";
  for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}) {
    char head[32];
    std::snprintf(head, sizeof head, " %15s", name);
    table += head;
  }
  for (size_t i = 0; i < modules.size(); ++i) {
    if (i % kModulesPerLayer == 0) {
      char layer[32];
      std::snprintf(layer, sizeof layer, "\n%5zu", i / kModulesPerLayer);
      table += layer;
    }
    table += ' ' + cell(modules[i].error, modules[i].nearest_error);
  }
  const Means means = means_of(modules);
  return table + "\n mean " + cell(means.error, means.nearest_error) + '\n';
}

std::string gptq_json(const std::vector<GptqModuleReport>& modules, const GptqRun& run,
                      const Calibration& calibration) {
  const Means means = means_of(modules);
  const GptqOptions& options = run.options;
  nlohmann::ordered_json text = {{"source", calibration.source}};
  if (calibration.sha256.empty())
    text["seed"] = run.calibration.seed;
  else
    text["sha256"] = calibration.sha256;
  text["max_sequences"] = run.calibration.sequences;
  text["max_tokens"] = run.calibration.tokens;
  text["sequences"] = calibration.sequences.size();
  text["tokens"] = calibration.num_tokens();
  nlohmann::ordered_json json = {{"format", "gptq"},
                                 {"version", QWEN_VERSION},
                                 {"kernels", run.kernels},
                                 {"bits", options.grid.bits},
                                 {"group_size", options.group_size},
                                 {"sym", options.grid.symmetric},
                                 {"act_order", options.hessian.act_order},
                                 {"damp_percent", options.hessian.damp_percent},
                                 {"calibration", text},
                                 {"mean_error", means.error},
                                 {"mean_nearest_error", means.nearest_error},
                                 {"modules", nlohmann::ordered_json::array()}};
  for (const GptqModuleReport& module : modules) {
    json["modules"].push_back({{"module", module.module},
                               {"error", module.error},
                               {"nearest_error", module.nearest_error},
                               {"damp_percent", module.damp_percent}});
  }
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace qwen
