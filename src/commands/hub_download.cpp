#include "commands/hub_download.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>
#include <thread>

#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/log.h"
#include "base/mapped_file.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLargestInfo = 16 << 20;
constexpr int kNoRanges = 33, kLongestPause = 30;
constexpr int kNoProxyName = 5, kNoHostName = 6, kNameRetries = 1;  // a name that is unknown seldom becomes known

uint64_t size_of(const fs::path& path) {
  std::error_code error;
  const uintmax_t size = fs::file_size(path, error);
  return error ? 0 : size;
}

void remove_file(const fs::path& path) {
  std::error_code ignored;
  fs::remove(path, ignored);
}

CurlOptions common_options(const Hub& hub) {
  CurlOptions options = {{"fail", ""},         {"location", ""},         {"max-redirs", "10"},
                         {"globoff", ""},      {"proto", "=http,https"}, {"connect-timeout", "30"},
                         {"speed-limit", "1"}, {"speed-time", "60"},     {"user-agent", "qwen-thinking/" QWEN_VERSION}};
  if (hub.endpoint.starts_with("https://")) options.push_back({"proto-redir", "=https"});
  // To the hub alone: curl leaves it out where a redirection leads to another host.
  if (!hub.token.empty()) options.push_back({"header", "Authorization: Bearer " + hub.token});
  return options;
}

std::string encoded(const std::string& revision) {
  std::string text;
  for (const char c : revision) text += c == '/' ? std::string("%2F") : std::string(1, c);
  return text;
}

std::string reason(const CurlResult& result) {
  return result.message.empty() ? str("curl ended with status ", result.exit_status) : result.message;
}

// What asking again does not mend.
void refuse_final_answer(const Hub& hub, const std::string& what, const CurlResult& result) {
  const int status = result.http_status;
  if (result.exit_status == 0 || status < 400 || status >= 500 || status == 408 || status == 416 || status == 429)
    return;
  if (status == 401 || status == 403 || status == 404)
    throw Error(ErrorCode::kMissingFile, str(what, ": ", hub.endpoint, " answers ", status, "; is the name right",
                                             hub.token.empty() ? ", and, if the model is not open to all, HF_TOKEN set?"
                                                               : ", and may the token read it?"));
  throw Error(ErrorCode::kFailed, str(what, ": ", hub.endpoint, " answers ", status));
}

// Whether a later attempt finds something of this one in `folder`.
bool something_kept(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (size_of(at->path()) > 0) return true;
  return false;
}

// Counts attempts that brought nothing, with longer and longer pauses.
class Patience {
 public:
  Patience(const Hub& hub, fs::path folder) : retries_(hub.retries), folder_(std::move(folder)) {}
  void advanced() { failures_ = 0; }
  void failed(const std::string& what, const CurlResult& result) {
    const bool name = result.exit_status == kNoProxyName || result.exit_status == kNoHostName;
    failed(what, reason(result), ErrorCode::kFailed, name ? std::min(kNameRetries, retries_) : retries_);
  }
  void failed(const std::string& what, const std::string& why) { failed(what, why, ErrorCode::kBadData, retries_); }

 private:
  void failed(const std::string& what, const std::string& why, ErrorCode code, int retries) {
    if (failures_++ >= retries)
      throw Error(
          code,
          str(what, ": ", why,
              something_kept(folder_) ? "; what has arrived is kept, and the same command goes on from there" : ""));
    log_warning(what, ": ", why, "; trying again");
    std::this_thread::sleep_for(std::chrono::seconds(std::min(1 << std::min(failures_ - 1, 5), kLongestPause)));
  }

  const int retries_;
  const fs::path folder_;
  int failures_ = 0;
};

}  // namespace

HubModel fetch_model_info(const Hub& hub, const std::string& repository, const std::string& revision,
                          const fs::path& scratch) {
  const std::string where = str(repository, " at ", revision);
  const fs::path file = scratch / "listing.part";
  Patience patience(hub, scratch);
  while (true) {
    CurlOptions options = common_options(hub);
    options.push_back(
        {"url", str(hub.endpoint, "/api/models/", repository, "/revision/", encoded(revision), "?blobs=true")});
    options.push_back({"output", file.string()});
    options.push_back({"max-time", "120"});
    const CurlResult result = run_curl(options, [&] { return size_of(file) <= kLargestInfo; });
    if (result.exit_status == 0) break;
    refuse_final_answer(hub, where, result);
    patience.failed(where, result);
  }
  const std::string text = read_text_file(file, kLargestInfo);
  remove_file(file);
  return parse_hub_model(text, str(where, " (", hub.endpoint, ")"));
}

bool is_verified(const HubFile& file, const fs::path& folder) {
  std::error_code error;
  if (!fs::is_regular_file(folder / file.name, error) || size_of(folder / file.name) != file.size) return false;
  if (file.size == 0) return file.matches({});
  const MappedFile mapped(folder / file.name);
  return file.matches({reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size()});
}

void fetch_file(const Hub& hub, const std::string& repository, const std::string& commit, const HubFile& file,
                const fs::path& folder, const std::function<void(uint64_t)>& progress) {
  HubFile part_file = file;
  part_file.name += ".part";
  const fs::path part = folder / part_file.name;
  Patience patience(hub, folder);
  while (true) {
    std::error_code error;
    if (size_of(part) > file.size) remove_file(part);
    const uint64_t before = size_of(part);
    if (before < file.size || !fs::exists(part, error)) {
      CurlOptions options = common_options(hub);
      options.push_back({"url", str(hub.endpoint, "/", repository, "/resolve/", commit, "/", file.name)});
      options.push_back({"output", part.string()});
      if (before > 0) options.push_back({"continue-at", std::to_string(before)});
      const CurlResult result = run_curl(options, [&] {
        const uint64_t now = size_of(part);
        progress(std::min(now, file.size));
        return now <= file.size;
      });
      refuse_final_answer(hub, file.name, result);
      if (result.exit_status == kNoRanges || result.http_status == 416) remove_file(part);  // from the start, then
      if (result.exit_status != 0 && size_of(part) != file.size) {
        if (size_of(part) > before)
          patience.advanced();
        else
          patience.failed(file.name, result);
        continue;
      }
    }
    if (is_verified(part_file, folder)) break;
    const uint64_t size = size_of(part);
    remove_file(part);
    patience.failed(file.name, size != file.size ? str(size, " bytes came, but the hub names ", file.size)
                                                 : std::string("what came has another digest than the hub names"));
  }
  // After a power failure, too, a name stands for the whole file.
  if (const FileDescriptor written = FileDescriptor::open(part); !written.valid() || ::fsync(written.get()) != 0)
    throw Error(ErrorCode::kCannotCreate, str(part.string(), ": ", std::strerror(errno)));
  std::error_code error;
  fs::rename(part, folder / file.name, error);
  if (error) throw Error(ErrorCode::kCannotCreate, str((folder / file.name).string(), ": ", error.message()));
  progress(file.size);
}

}  // namespace qwen
