// `logits`: token ids → the model's logits. Needs no tokenizer in the folder.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>

#include "base/error.h"
#include "commands/commands.h"
#include "commands/config_flags.h"
#include "commands/direct_runner.h"
#include "commands/json_line.h"
#include "commands/jsonl.h"
#include "commands/load.h"
#include "commands/weight_format.h"

namespace qwen {
namespace {

constexpr int kMaxPositions = 32768;
constexpr int kMaxBatchedTokens = 512;
constexpr int kMaxLogitRows = 64;

struct Options {
  ConfigFlags flags;
  std::string ids;
  int chunk = kMaxBatchedTokens;
  bool all = false, jsonl = false;
};

void check_ids(const std::vector<TokenId>& ids, const DirectRunner& runner, int max_length) {
  if (ids.empty()) throw Error(ErrorCode::kInvalidValue, "\"ids\" must hold at least one id", "ids");
  if (static_cast<int64_t>(ids.size()) > max_length)
    throw Error(ErrorCode::kInvalidValue, str("\"ids\" holds ", ids.size(), " ids; at most ", max_length, " fit"),
                "ids");
  for (const TokenId id : ids) {
    if (id >= runner.vocab_size())
      throw Error(ErrorCode::kInvalidValue, str("id ", id, " is outside the vocabulary of ", runner.vocab_size()),
                  "ids");
  }
}

// Row by row: a long prompt's logits are gigabytes of text.
void write_all_logits(DirectRunner& runner, std::span<const TokenId> ids, int chunk, std::ostream& out) {
  out << "{\"logits\":[";
  const size_t vocab_size = static_cast<size_t>(runner.vocab_size());
  const size_t most = static_cast<size_t>(std::clamp(chunk, 1, kMaxLogitRows));
  std::string row;
  for (size_t done = 0; done < ids.size();) {
    const DirectRunner::Chunk step{0, ids.subspan(done, std::min(most, ids.size() - done)), DirectRunner::Logits::kAll};
    const std::span<const float> rows = runner.step({&step, 1});
    for (size_t i = 0; i < step.tokens.size(); ++i) {
      row = done + i > 0 ? "," : "";
      append_floats(row, rows.subspan(i * vocab_size, vocab_size));
      if (!(out << row)) throw Error(ErrorCode::kFailed, "standard output: cannot write the logits; is the disk full?");
    }
    done += step.tokens.size();
  }
  out << "]}";
}

int run_logits(const Options& options) {
  if (options.jsonl == !options.ids.empty()) throw Error(ErrorCode::kUsage, "give either --ids 1,2,3 or --jsonl");
  const std::vector<TokenId> ids = options.jsonl ? std::vector<TokenId>{} : parse_ids(options.ids, "--ids");
  const ServiceConfig config = options.flags.resolve();
  const LoadedCausalLm loaded = load_model_folder(config.model_path, backend_options(config),
                                                  {kMaxBatchedTokens, kMaxLogitRows, kMaxPositions,
                                                   choose_format(config, ModelConfig::load(config.model_path)).formats},
                                                  cache_options(config));
  const int max_length = std::min(loaded.model->max_positions(), kMaxPositions);
  DirectRunner runner(*loaded.model, 1, max_length);
  const auto write = [&](const std::vector<TokenId>& wanted, std::ostream& out) {
    runner.truncate(0, 0);
    if (options.all) return write_all_logits(runner, wanted, options.chunk, out);
    std::string row;
    append_floats(row, runner.prefill(0, wanted, options.chunk));
    out << "{\"logits\":" << row << '}';
  };
  if (options.jsonl) {
    return stream_jsonl(std::cin, std::cout, [&](const std::string& line) -> AnswerWriter {
      const JsonValue object = parse_object(line);
      const JsonValue* member = object.find("ids");
      if (member == nullptr) throw Error(ErrorCode::kInvalidValue, "\"ids\" is missing", "ids");
      std::vector<TokenId> wanted = ids_member(*member);
      check_ids(wanted, runner, max_length);
      return [&write, wanted = std::move(wanted)](std::ostream& out) { write(wanted, out); };
    });
  }
  try {
    check_ids(ids, runner, max_length);
  } catch (const Error& error) {
    throw Error(ErrorCode::kUsage, str("--ids: ", error.what()), "--ids");
  }
  write(ids, std::cout);
  std::cout << '\n';
  return 0;
}

}  // namespace

void add_logits(CLI::App& app, CommandRun& run) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("logits", "Token ids to {\"logits\":[…]}, the last position's");
  options->flags.set_default("quantization", "none");  // the folder as it is: what references compute, too
  options->flags.declare(*command, {"model", "quantization", "head-format", "cache-dir", "weights", "device", "kernels",
                                    "threads", "kv-cache-dtype"});
  command->add_option("--ids", options->ids, "Token ids such as 1,2,3");
  command->add_flag("--all", options->all, "A list of logits for every position");
  command->add_flag("--jsonl", options->jsonl, "One {\"ids\":[…]} a line on standard input, one answer a line");
  command->add_option("--chunk", options->chunk, "Feed at most so many tokens a step; never changes the result")
      ->check(CLI::Range(1, kMaxBatchedTokens).description(""))
      ->capture_default_str();
  command->callback([options, &run] { run = [options] { return run_logits(*options); }; });
}

}  // namespace qwen
