#include "commands/hub_model.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "weights/model_folder_files.h"

namespace qwen {
namespace {

using nlohmann::json;

constexpr uint64_t kLargestFile = uint64_t{1} << 40;
constexpr size_t kMostFiles = 10'000, kLongestName = 128;

bool is_hex(std::string_view text, size_t length) {
  return text.size() == length && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool of_letters(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(), [&](unsigned char c) {
    return (c < 0x80 && std::isalnum(c) != 0) || others.find(static_cast<char>(c)) != others.npos;
  });
}

// A flat, visible name; "model.safetensors" and not "../x", ".x" or "onnx/model.onnx".
bool is_flat_name(std::string_view name) {
  return !name.empty() && name.size() <= kLongestName && name[0] != '.' && name[0] != '-' && of_letters(name, "._-");
}

std::string text_member(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

HubFile parse_file(const json& entry, const std::string& name, const std::string& where) {
  HubFile file{name, 0, {}, text_member(entry, "blobId")};
  const json* sized = &entry;
  if (const auto large = entry.find("lfs"); large != entry.end() && large->is_object()) {
    file.sha256 = text_member(*large, "sha256");
    if (large->contains("size")) sized = &*large;
  }
  const auto size = sized->find("size");
  if (size == sized->end() || !size->is_number_unsigned() || size->get<uint64_t>() > kLargestFile)
    throw Error(ErrorCode::kBadData, str(where, ": no size of ", name));
  file.size = size->get<uint64_t>();
  if (!is_hex(file.sha256, 64) && !(file.sha256.empty() && is_hex(file.git_id, 40)))
    throw Error(ErrorCode::kBadData, str(where, ": no digest of ", name, ", so that it could not be verified"));
  return file;
}

bool any_named(const std::vector<HubFile>& files, std::string_view name) {
  return std::any_of(files.begin(), files.end(), [&](const HubFile& file) { return file.name == name; });
}

void remove_second_weights(std::vector<HubFile>& files) {
  const auto ends = [](std::string_view end) {
    return [end](const HubFile& file) { return file.name.ends_with(end); };
  };
  // The same numbers once more.
  if (std::any_of(files.begin(), files.end(), ends(".safetensors"))) {
    std::erase_if(files, ends(".bin"));
    std::erase_if(files, ends(".bin.index.json"));
  } else {
    std::erase_if(files, [](const HubFile& file) {
      return file.name.ends_with(".bin") && !file.name.starts_with("pytorch_model");
    });
  }
}

}  // namespace

bool HubFile::matches(std::string_view bytes) const {
  if (bytes.size() != size) return false;
  if (!sha256.empty()) return sha256_hex(bytes) == sha256;
  std::string object = str("blob ", bytes.size());
  object += '\0';
  object += bytes;
  return sha1_hex(object) == git_id;
}

HubModel parse_hub_model(std::string_view text, const std::string& where) {
  const json value = json::parse(text, nullptr, false);
  const auto siblings = value.is_object() ? value.find("siblings") : value.end();
  if (!value.is_object() || siblings == value.end() || !siblings->is_array() || siblings->size() > kMostFiles)
    throw Error(ErrorCode::kBadData,
                str(where, ": the answer is no list of a model's files; is it the endpoint of a hub?"));
  HubModel model{text_member(value, "sha"), {}};
  if (!is_hex(model.commit, 40)) throw Error(ErrorCode::kBadData, str(where, ": the answer names no commit"));
  for (const json& entry : *siblings) {
    const std::string name = entry.is_object() ? text_member(entry, "rfilename") : std::string();
    if (is_flat_name(name) && is_model_file_name(name) && !any_named(model.files, name))
      model.files.push_back(parse_file(entry, name, where));
  }
  remove_second_weights(model.files);
  std::sort(model.files.begin(), model.files.end(), [](const HubFile& a, const HubFile& b) { return a.name < b.name; });
  const bool weights = std::any_of(model.files.begin(), model.files.end(), [](const HubFile& file) {
    return file.name.ends_with(".safetensors") || file.name.ends_with(".bin");
  });
  const bool tokenizer = any_named(model.files, "tokenizer.json") || any_named(model.files, "vocab.json");
  const char* missing = !any_named(model.files, "config.json") ? "config.json"
                        : !tokenizer                           ? "tokenizer.json or vocab.json"
                        : !weights                             ? "weights (*.safetensors or pytorch_model*.bin)"
                                                               : nullptr;
  if (missing != nullptr) throw Error(ErrorCode::kMissingFile, str(where, ": the repository holds no ", missing));
  return model;
}

bool is_repository_name(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == text.npos) return is_flat_name(text);
  return is_flat_name(text.substr(0, slash)) && is_flat_name(text.substr(slash + 1));
}

bool is_revision_name(std::string_view text) {
  return !text.empty() && text.size() <= kLongestName && text[0] != '-' && text.find("..") == text.npos &&
         of_letters(text, "._-/");
}

}  // namespace qwen
