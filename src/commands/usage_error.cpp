#include "commands/usage_error.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <vector>

#include "base/nearest_name.h"

namespace qwen {
namespace {

std::string meant(const std::string& unknown, const std::vector<std::string>& known) {
  const std::vector<std::string_view> views(known.begin(), known.end());
  const std::optional<std::string_view> name = nearest_name(unknown, views);
  return name ? "; did you mean " + std::string(*name) + "?" : "";
}

std::vector<std::string> flags_of(const CLI::App& command) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  return flags;
}

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

}  // namespace

std::string usage_error(const CLI::App& app, const std::string& problem) {
  const CLI::App* command = &app;
  std::string name = "qwen-thinking";
  for (const CLI::App* chosen : app.get_subcommands()) {
    command = chosen;
    name += ' ' + chosen->get_name();
  }
  const std::string see = " (see " + name + " --help)";
  const std::vector<std::string> unknown = app.remaining(true);
  if (command == &app && !unknown.empty() && unknown[0][0] != '-')
    return "there is no command " + unknown[0] + meant(unknown[0], commands_of(app)) + see;
  const auto flag = std::find_if(unknown.begin(), unknown.end(),
                                 [](const std::string& word) { return word.size() > 1 && word[0] == '-'; });
  if (flag == unknown.end()) return problem + see;
  const std::string spelled = flag->substr(0, flag->find('='));
  return "there is no flag " + spelled + meant(spelled, flags_of(*command)) + see;
}

}  // namespace qwen
