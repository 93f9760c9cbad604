// `completion`: the script by which bash, zsh or fish completes this program's commands and flags. It is written from
// the very declarations that parse the command line, so that it cannot fall behind them.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "commands/commands.h"

namespace qwen {
namespace {

struct Flag {
  std::vector<std::string> long_names, short_names;  // without dashes
  bool takes_value;
  std::string meaning;
};

struct Entry {
  std::string name, meaning;
  std::vector<Flag> flags;
  std::vector<std::string> words;  // sub-commands of its own, such as `bench quality`
};

void collect_flags(const CLI::App& command, std::vector<Flag>& flags) {
  const auto any = [](const CLI::Option*) { return true; };
  for (const CLI::Option* option : command.get_options(any)) {
    if (!option->nonpositional()) continue;
    flags.push_back(
        {option->get_lnames(), option->get_snames(), option->get_items_expected_max() > 0, option->get_description()});
  }
}

std::vector<Entry> entries(const CLI::App& root) {
  const auto any = [](const CLI::App*) { return true; };
  std::vector<Entry> result;
  for (const CLI::App* command : root.get_subcommands(any)) {
    Entry entry{command->get_name(), command->get_description(), {}, {}};
    collect_flags(*command, entry.flags);
    for (const CLI::App* nested : command->get_subcommands(any)) {
      entry.words.push_back(nested->get_name());
      collect_flags(*nested, entry.flags);
    }
    result.push_back(std::move(entry));
  }
  return result;
}

// Within single quotes of a shell, each character of `special` after a backslash. `quote`: how a single quote is
// written there.
std::string quoted(std::string_view text, std::string_view special, std::string_view quote) {
  std::string result;
  for (const char c : text) {
    if (special.find(c) != special.npos) result += '\\';
    if (c == '\'')
      result += quote;
    else
      result += c;
  }
  return result;
}

std::string for_zsh(std::string_view text) { return quoted(text, "[]:\\", "'\\''"); }
std::string for_fish(std::string_view text) { return quoted(text, "\\", "\\'"); }

void print_bash(const std::vector<Entry>& commands) {
  std::cout << "# bash completion of qwen-thinking\n_qwen_thinking() {\n"
               "  local word=${COMP_WORDS[COMP_CWORD]} words=\n"
               "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    words='--help --version";
  for (const Entry& command : commands) std::cout << ' ' << command.name;
  std::cout << "'\n  else\n    case ${COMP_WORDS[1]} in\n";
  for (const Entry& command : commands) {
    std::cout << "      " << command.name << ") words='";
    for (const std::string& name : command.words) std::cout << name << ' ';
    for (const Flag& flag : command.flags) {
      for (const std::string& name : flag.long_names) std::cout << "--" << name << ' ';
      for (const std::string& name : flag.short_names) std::cout << '-' << name << ' ';
    }
    std::cout << "' ;;\n";
  }
  // What stands behind a flag is left to the completion of file names.
  std::cout << "    esac\n    if [[ $word != -* && ${COMP_WORDS[COMP_CWORD-1]} == -* ]]; then words=; fi\n  fi\n"
               "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
               "}\ncomplete -o default -F _qwen_thinking qwen-thinking\n";
}

void print_zsh(const std::vector<Entry>& commands) {
  std::cout << "#compdef qwen-thinking\n_qwen-thinking() {\n  if (( CURRENT == 2 )); then\n    local -a commands=(\n";
  for (const Entry& command : commands)
    std::cout << "      '" << command.name << ':' << for_zsh(command.meaning) << "'\n";
  std::cout << "    )\n    _describe command commands\n    return\n  fi\n  local command=$words[2]\n"
               "  shift words\n  (( CURRENT-- ))\n  case $command in\n";
  for (const Entry& command : commands) {
    std::cout << "    " << command.name << ") _arguments";
    for (const Flag& flag : command.flags) {
      const std::string rest = '[' + for_zsh(flag.meaning) + ']' + (flag.takes_value ? ":value:_files'" : "'");
      for (const std::string& name : flag.long_names) std::cout << " \\\n      '--" << name << rest;
      for (const std::string& name : flag.short_names) std::cout << " \\\n      '-" << name << rest;
    }
    if (!command.words.empty()) {
      std::cout << " \\\n      '1: :(";
      for (size_t i = 0; i < command.words.size(); ++i) std::cout << (i > 0 ? " " : "") << command.words[i];
      std::cout << ")'";
    }
    std::cout << " ;;\n";
  }
  std::cout << "  esac\n}\nif [ \"$funcstack[1]\" = _qwen-thinking ]; then _qwen-thinking \"$@\"; else compdef "
               "_qwen-thinking qwen-thinking; fi\n";
}

void print_fish(const std::vector<Entry>& commands) {
  std::cout << "# fish completion of qwen-thinking\n";
  for (const Entry& command : commands)
    std::cout << "complete -c qwen-thinking -n __fish_use_subcommand -f -a " << command.name << " -d '"
              << for_fish(command.meaning) << "'\n";
  for (const Entry& command : commands) {
    const std::string start = "complete -c qwen-thinking -n '__fish_seen_subcommand_from " + command.name + "'";
    for (const std::string& name : command.words) std::cout << start << " -a " << name << '\n';
    for (const Flag& flag : command.flags) {
      std::cout << start;
      for (const std::string& name : flag.long_names) std::cout << " -l " << name;
      for (const std::string& name : flag.short_names) std::cout << " -s " << name;
      std::cout << (flag.takes_value ? " -r" : "") << " -d '" << for_fish(flag.meaning) << "'\n";
    }
  }
}

}  // namespace

void add_completion(CLI::App& app, CommandRun& run) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "Print a completion script: . <(qwen-thinking completion bash)");
  command->add_option("shell", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->callback([&app, &run, shell] {
    run = [&app, shell] {
      const std::vector<Entry> commands = entries(app);
      if (*shell == "bash") print_bash(commands);
      if (*shell == "zsh") print_zsh(commands);
      if (*shell == "fish") print_fish(commands);
      return 0;
    };
  });
}

}  // namespace qwen
