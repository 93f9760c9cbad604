// `pull`: a model from a Hugging Face-style hub into a folder that appears when it is whole. Until then it is
// FOLDER.partial; a run that was interrupted goes on there. Every byte is verified by the digests that the hub names.
#include <fcntl.h>
#include <sys/file.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <system_error>

#include "base/error.h"
#include "base/log.h"
#include "base/mapped_file.h"
#include "base/progress.h"
#include "commands/commands.h"
#include "commands/hub_download.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;

struct PullOptions {
  std::string repository, revision = "main", endpoint = "https://huggingface.co", output;
  int retries = 5;
  bool dry_run = false;
};

// As Hugging Face's own tools look for it.
std::string find_token() {
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"})
    if (const char* value = std::getenv(name); value != nullptr && *value != '\0') return value;
  const char *home = std::getenv("HF_HOME"), *user = std::getenv("HOME");
  const fs::path file = home != nullptr && *home != '\0' ? fs::path(home) / "token"
                        : user != nullptr                ? fs::path(user) / ".cache/huggingface/token"
                                                         : fs::path();
  std::error_code error;
  if (file.empty() || !fs::is_regular_file(file, error)) return {};
  std::string token = read_text_file(file, 4096);
  while (!token.empty() && std::strchr(" \r\n", token.back()) != nullptr) token.pop_back();
  return token;
}

Hub make_hub(PullOptions& options) {
  while (options.endpoint.ends_with('/')) options.endpoint.pop_back();
  const bool encrypted = options.endpoint.starts_with("https://");
  if (!encrypted && !options.endpoint.starts_with("http://"))
    throw Error(ErrorCode::kUsage,
                str("--endpoint (HF_ENDPOINT) is ", options.endpoint, " but must begin with https:// or http://"));
  if (!is_repository_name(options.repository))
    throw Error(ErrorCode::kUsage,
                str(options.repository, " is no name of a repository such as Qwen/Qwen3-4B-Thinking-2507"));
  if (!is_revision_name(options.revision))
    throw Error(ErrorCode::kUsage, str("--revision is ", options.revision, " but must be a branch, a tag or a commit"));
  Hub hub{options.endpoint, find_token(), options.retries};
  const bool local =
      options.endpoint.starts_with("http://127.0.0.1:") || options.endpoint.starts_with("http://localhost:");
  if (!hub.token.empty() && !encrypted && !local) {
    log_warning("the token is not sent: ", options.endpoint, " is not encrypted");
    hub.token.clear();
  }
  return hub;
}

fs::path default_output(const std::string& repository) {
  std::string name = repository.substr(repository.find('/') + 1);
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return fs::path("models") / name;
}

// One run at a time in a folder; held until the process ends.
FileDescriptor lock_folder(const fs::path& folder) {
  FileDescriptor held(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!held.valid()) throw Error(ErrorCode::kCannotCreate, str(folder.string(), ": ", std::strerror(errno)));
  if (::flock(held.get(), LOCK_EX | LOCK_NB) != 0)
    throw Error(ErrorCode::kCannotCreate, str(folder.string(), ": another pull is at work there"));
  return held;
}

void check_space(const HubModel& model, const fs::path& partial) {
  uint64_t needed = 0;
  std::error_code error;
  for (const HubFile& file : model.files) {
    if (fs::exists(partial / file.name, error)) continue;
    const uintmax_t there = fs::file_size(partial / (file.name + ".part"), error);
    needed += file.size - (error ? 0 : std::min<uint64_t>(there, file.size));
  }
  const fs::space_info space = fs::space(partial, error);
  if (!error && space.available < needed)
    throw Error(ErrorCode::kCannotCreate, str(partial.string(), ": ", needed / 1'000'000, " MB are needed, but only ",
                                              space.available / 1'000'000, " MB are free"));
}

// Whatever else an earlier run left there does not become part of the model.
void remove_others(const HubModel& model, const fs::path& partial) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(partial, error)) {
    const std::string name = entry.path().filename().string();
    const bool known =
        std::any_of(model.files.begin(), model.files.end(), [&](const HubFile& f) { return f.name == name; });
    if (!known && !fs::remove(entry.path(), error))
      throw Error(ErrorCode::kCannotCreate, str(entry.path().string(), " is in the way and cannot be removed"));
  }
}

void list_files(const PullOptions& options, const HubModel& model) {
  uint64_t total = 0;
  for (const HubFile& file : model.files) {
    std::cout << file.name << "  " << file.size << "  "
              << (file.sha256.empty() ? "git:" + file.git_id : "sha256:" + file.sha256) << '\n';
    total += file.size;
  }
  std::cout << model.files.size() << " files, " << total << " bytes of " << options.repository << " at " << model.commit
            << " would become " << options.output << '\n';
}

// A folder that is there already is compared and left as it is.
int compare_present(const PullOptions& options, const HubModel& model) {
  for (const HubFile& file : model.files)
    if (!is_verified(file, options.output))
      throw Error(ErrorCode::kCannotCreate,
                  str(options.output, " is there, but its ", file.name, " is not that of ", options.repository, " at ",
                      model.commit, "; choose another --output or remove the folder"));
  std::cout << options.output << " is there and complete: " << model.files.size() << " files verified\n";
  return 0;
}

void fetch_all(const Hub& hub, const PullOptions& options, const HubModel& model, const fs::path& partial) {
  for (const HubFile& file : model.files) {
    if (is_verified(file, partial)) continue;
    std::error_code error;
    fs::remove(partial / file.name, error);
    const uintmax_t there = fs::file_size(partial / (file.name + ".part"), error);
    const uint64_t start = error ? 0 : std::min<uint64_t>(there, file.size);
    ProgressBar bar(file.name);
    fetch_file(hub, options.repository, model.commit, file, partial,
               [&](uint64_t done) { bar.update(done - std::min(start, done), file.size - start); });
  }
}

int pull(PullOptions options) {
  const Hub hub = make_hub(options);
  if (options.output.empty()) options.output = default_output(options.repository).string();
  while (options.output.size() > 1 && options.output.ends_with('/')) options.output.pop_back();
  std::error_code error;
  const bool present = fs::is_directory(options.output, error) && !fs::is_empty(options.output, error);
  if (present || options.dry_run) {
    const std::string pattern = (fs::temp_directory_path() / "qwen-thinking-pull-XXXXXX").string();
    std::string scratch = pattern;
    if (::mkdtemp(scratch.data()) == nullptr)
      throw Error(ErrorCode::kCannotCreate, str(pattern, ": ", std::strerror(errno)));
    struct Removed {
      ~Removed() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
      }
      const std::string& path;
    } removed{scratch};
    const HubModel model = fetch_model_info(hub, options.repository, options.revision, scratch);
    if (present) return compare_present(options, model);
    list_files(options, model);
    return 0;
  }
  const fs::path partial = options.output + ".partial";
  fs::create_directories(partial, error);
  if (error) throw Error(ErrorCode::kCannotCreate, str(partial.string(), ": ", error.message()));
  const FileDescriptor lock = lock_folder(partial);
  const HubModel model = fetch_model_info(hub, options.repository, options.revision, partial);
  check_space(model, partial);
  fetch_all(hub, options, model, partial);
  remove_others(model, partial);
  fs::remove(options.output, error);  // where it is there, it is empty
  fs::rename(partial, options.output, error);
  if (error)
    throw Error(ErrorCode::kCannotCreate,
                str(options.output, ": ", error.message(), "; the model is in ", partial.string()));
  std::cout << options.repository << " at " << model.commit << ": " << model.files.size() << " files verified in "
            << options.output << '\n';
  return 0;
}

}  // namespace

void add_pull(CLI::App& app, CommandRun& run) {
  auto options = std::make_shared<PullOptions>();
  CLI::App* command = app.add_subcommand("pull", "Download a model from a Hugging Face-style hub: resumes, verifies");
  command->add_option("repository", options->repository, "Such as Qwen/Qwen3-4B-Thinking-2507")->required();
  command->add_option("-o,--output", options->output, "Folder; default: models/ and the model's name in small letters");
  command->add_option("--revision", options->revision, "Branch, tag or commit")->capture_default_str();
  command->add_option("--endpoint", options->endpoint, "The hub or a mirror of it")
      ->envname("HF_ENDPOINT")
      ->capture_default_str();
  command->add_option("--retries", options->retries, "Attempts at a transfer that does not advance")
      ->capture_default_str()
      ->check(CLI::Range(0, 1000).description(""));
  command->add_flag("--dry-run", options->dry_run, "Only list what would be downloaded");
  command->footer(
      "HF_TOKEN, or the token that Hugging Face's own tools have kept, opens models that are not open to all.");
  command->callback([options, &run] { run = [options] { return pull(*options); }; });
}

}  // namespace qwen
