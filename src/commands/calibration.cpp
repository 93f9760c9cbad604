#include "commands/calibration.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/hash.h"
#include "base/mapped_file.h"
#include "base/progress.h"
#include "commands/json_line.h"
#include "commands/load.h"
#include "text/chat_template.h"
#include "text/conversation.h"
#include "text/json_value.h"
#include "text/tokenizer.h"

namespace qwen {
namespace {

constexpr size_t kMostBytes = size_t{256} << 20;
constexpr int kSampledTogether = 16;  // sequences whose keys and values are in memory at once

// Tokenizer and template are read when a line asks for them: ids need neither.
class CalibrationReader {
 public:
  CalibrationReader(const std::string& model_dir, const std::string& chat_template)
      : model_dir_(model_dir), family_(chat_template) {}

  std::vector<TokenId> read(const std::string& line) {
    const JsonValue object = parse_object(line);
    if (const JsonValue* ids = object.find("ids")) return ids_member(*ids);
    if (const JsonValue* text = object.find("text"); text != nullptr && text->is_string()) return encode(text->text);
    if (object.find("messages") == nullptr)
      throw Error(ErrorCode::kInvalidValue, "holds neither \"text\" nor \"messages\" nor \"ids\"");
    if (!template_) template_.emplace(ChatTemplate::detect(model_dir_, family_));
    Conversation conversation = parse_conversation(object);
    if (object.find("add_generation_prompt") == nullptr) conversation.options.add_generation_prompt = false;
    return encode(template_->render(conversation.messages, conversation.options));
  }
  std::vector<TokenId> encode(std::string_view text) {
    if (!tokenizer_) tokenizer_.emplace(Tokenizer::load(model_dir_));
    return tokenizer_->encode(text);
  }

 private:
  const std::string& model_dir_;
  const std::string& family_;
  std::optional<Tokenizer> tokenizer_;
  std::optional<ChatTemplate> template_;
};

void check_ids(const std::vector<TokenId>& ids, const ModelConfig& config, const std::string& where) {
  for (const TokenId id : ids) {
    if (id < 0 || id >= config.vocab_size)
      throw Error(ErrorCode::kBadData,
                  str(where, ": token id ", id, " is outside the vocabulary of ", config.vocab_size));
  }
}

std::vector<TokenId> read_lines(CalibrationReader& reader, const std::string& text, const ModelConfig& config,
                                const CalibrationOptions& options) {
  const size_t wanted = static_cast<size_t>(options.sequences) * static_cast<size_t>(options.tokens);
  std::vector<TokenId> ids;
  std::istringstream in(text);
  std::string line;
  for (int number = 1; ids.size() < wanted && std::getline(in, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string where = str(options.file, ":", number);
    try {
      const std::vector<TokenId> more = reader.read(line);
      check_ids(more, config, where);
      ids.insert(ids.end(), more.begin(), more.end());
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInvalidValue) throw;
      throw Error(ErrorCode::kBadData, str(where, ": ", error.what()));
    }
  }
  return ids;
}

// What the template puts before a user's first message and each later one, and before an answer. Models end a text
// without turns with <|endoftext|>.
DialogueTokens dialogue_tokens(const ChatTemplate& chat_template, const Tokenizer& tokenizer) {
  const std::string end = "<|im_end|>", question = "x" + end, answer = "y" + end;
  const std::vector<Message> messages = {
      {.role = "user", .content = "x"}, {.role = "assistant", .content = "y"}, {.role = "user", .content = "x"}};
  const std::string prompt = chat_template.render(messages);
  const size_t first = prompt.find(question), answered = prompt.find(answer), last = prompt.rfind(question);
  QWEN_CHECK(first < answered && answered < last && last != std::string::npos);
  const size_t next = answered + answer.size();
  DialogueTokens dialogue{.user = tokenizer.encode(prompt.substr(0, first)),
                          .assistant = tokenizer.encode(prompt.substr(last + question.size())),
                          .next_user = tokenizer.encode(prompt.substr(next, last - next)),
                          .ends = tokenizer.encode(end),
                          .stops = tokenizer.encode("<|endoftext|>")};
  if (dialogue.stops.size() != 1) dialogue.stops.clear();  // a vocabulary without it
  return dialogue;
}

}  // namespace

int64_t Calibration::num_tokens() const {
  int64_t count = 0;
  for (const auto& ids : sequences) count += static_cast<int64_t>(ids.size());
  return count;
}

Calibration read_calibration(const std::string& model_dir, const ModelConfig& config, const std::string& chat_template,
                             const CalibrationOptions& options) {
  const std::string text = read_text_file(options.file, kMostBytes);
  CalibrationReader reader(model_dir, chat_template);
  const bool lines = options.file.ends_with(".jsonl");
  const std::vector<TokenId> ids = lines ? read_lines(reader, text, config, options) : reader.encode(text);
  if (!lines) check_ids(ids, config, options.file);
  Calibration calibration{cut_sequences(ids, options.sequences, options.tokens),
                          std::filesystem::path(options.file).filename().string(), sha256_hex(text)};
  if (calibration.sequences.empty())
    throw Error(ErrorCode::kBadData, options.file + ": holds fewer than two tokens; give more text");
  return calibration;
}

Calibration sample_calibration(const std::string& model_dir, const ModelConfig& config,
                               const std::string& chat_template, const BackendOptions& backend,
                               const CalibrationOptions& options, const std::function<void()>& poll) {
  const Tokenizer tokenizer = Tokenizer::load(model_dir);
  const DialogueTokens dialogue = dialogue_tokens(ChatTemplate::detect(model_dir, chat_template), tokenizer);
  for (const auto& ids : {dialogue.user, dialogue.assistant, dialogue.next_user}) check_ids(ids, config, model_dir);
  std::optional<ProgressBar> loading("loading");
  const LoadedCausalLm loaded =
      load_model_folder(model_dir, backend, {512, kSampledTogether, options.tokens, weight_formats("int8")},
                        {.enabled = false}, [&](uint64_t done, uint64_t total) {
                          poll();
                          loading->update(done, total);
                        });
  loading.reset();
  const int vocab_size = static_cast<int>(std::min<int64_t>(tokenizer.vocab_size(), config.vocab_size));
  Calibration calibration{{}, "conversations of the model with itself", {}};
  ProgressBar bar("sampling", ProgressBar::Unit::kNone);
  for (int done = 0; done < options.sequences;) {
    const int count = std::min(kSampledTogether, options.sequences - done);
    TokenSequences more = sample_dialogues(*loaded.model, dialogue, vocab_size, count, options.tokens, options.seed,
                                           static_cast<size_t>(done), poll);
    std::move(more.begin(), more.end(), std::back_inserter(calibration.sequences));
    done += count;
    bar.update(static_cast<uint64_t>(done), static_cast<uint64_t>(options.sequences));
  }
  return calibration;
}

}  // namespace qwen
