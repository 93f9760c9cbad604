// Fetching from a Hugging Face-style hub: what it holds, and each file into a folder where a file has its name only
// once its digest is right. Until then it is NAME.part, which a later run goes on with.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "commands/curl.h"
#include "commands/hub_model.h"

namespace qwen {

struct Hub {
  std::string endpoint;  // http(s)://HOST, without a slash at its end
  std::string token;     // may be empty
  int retries = 5;       // of a transfer that does not advance
};

// `scratch`: a folder for the answer. Errors: kFailed where the hub does not answer, kMissingFile where it has no such
// repository for this token, and those of parse_hub_model.
HubModel fetch_model_info(const Hub& hub, const std::string& repository, const std::string& revision,
                          const std::filesystem::path& scratch);

// Leaves folder/file.name, verified. `progress`: bytes of the file that are there. Errors: kFailed when the hub breaks
// off again and again, kBadData when what it sends has another digest, kCannotCreate.
void fetch_file(const Hub& hub, const std::string& repository, const std::string& commit, const HubFile& file,
                const std::filesystem::path& folder, const std::function<void(uint64_t)>& progress);

// Whether folder/file.name is there with the right digest.
bool is_verified(const HubFile& file, const std::filesystem::path& folder);

}  // namespace qwen
