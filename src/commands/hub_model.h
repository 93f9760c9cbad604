// What a Hugging Face-style hub says of a model: the files of a repository at one commit, each with its size and
// digest (GET /api/models/REPO/revision/REVISION?blobs=true). Nothing of it is believed: names are checked before they
// become paths, sizes before they are summed, and a file without a digest is refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qwen {

struct HubFile {
  std::string name;    // in the repository's top folder
  uint64_t size = 0;   // bytes
  std::string sha256;  // of large files; empty for those that git itself keeps
  std::string git_id;  // of the others: git's SHA-1 of "blob SIZE", a NUL and the bytes

  bool matches(std::string_view bytes) const;
};

struct HubModel {
  std::string commit;
  std::vector<HubFile> files;  // those that a model folder needs, by name
};

// `where` begins the messages. Errors: kBadData for what no hub says, kMissingFile where the repository holds no
// config.json, tokenizer or weights.
HubModel parse_hub_model(std::string_view json, const std::string& where);

bool is_repository_name(std::string_view text);  // OWNER/NAME or NAME
bool is_revision_name(std::string_view text);    // a branch, tag or commit

}  // namespace qwen
