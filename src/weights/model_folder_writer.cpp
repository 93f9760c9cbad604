#include "weights/model_folder_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/error.h"
#include "base/file_size_signal.h"
#include "base/mapped_file.h"
#include "weights/model_folder_files.h"

namespace qwen {

namespace fs = std::filesystem;

namespace {

constexpr uintmax_t kMaxSmallFile = 64 << 20;  // the largest tokenizer.json are a third of it
constexpr uint64_t kReserve = 128 << 20;       // of disk space, for the small files and whoever else writes

[[noreturn]] void fail(const fs::path& path, std::string_view action, std::string_view reason) {
  throw Error(ErrorCode::kCannotCreate, str(path.string(), ": cannot ", action, ": ", reason));
}
[[noreturn]] void fail(const fs::path& path, std::string_view action) { fail(path, action, std::strerror(errno)); }

bool holds_weights(const fs::path& file) {
  constexpr std::array kExtensions = {".safetensors", ".bin", ".pt",      ".pth",    ".gguf",
                                      ".onnx",        ".h5",  ".msgpack", ".packed", ".partial"};
  return std::find(kExtensions.begin(), kExtensions.end(), file.extension()) != kExtensions.end() ||
         file.filename().string().ends_with(".index.json");
}

// Neither weights nor what says how they are stored.
bool goes_along(const fs::directory_entry& entry) {
  const std::string name = entry.path().filename().string();
  std::error_code error;
  return !name.starts_with('.') && name != "config.json" && name != "quantize_config.json" &&
         name != "quant_config.json" && !holds_weights(entry.path()) && entry.is_regular_file(error);
}

bool is_empty_or_absent(const fs::path& folder) {
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  if (!fs::exists(status)) return true;
  if (!fs::is_directory(status)) throw Error(ErrorCode::kCannotCreate, folder.string() + ": is a file, not a folder");
  const bool empty = fs::is_empty(folder, error);
  if (error) fail(folder, "look into the folder", error.message());
  return empty;
}

bool is_mount_point(const fs::path& folder) {
  struct stat own {
  }, parent{};
  if (::stat(folder.c_str(), &own) != 0 || ::stat(folder.parent_path().c_str(), &parent) != 0) return false;
  if (own.st_dev != parent.st_dev) return true;
  struct statx more {};  // the same disk, mounted once more
  return ::statx(AT_FDCWD, folder.c_str(), 0, 0, &more) == 0 && (more.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

void write_file(const fs::path& path, std::string_view text) {
  const FileSizeSignalBlocked blocked;
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) fail(path, "create the file");
  bool good = true;
  while (good && !text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n > 0) text.remove_prefix(static_cast<size_t>(n));
    good = n > 0 || (n < 0 && errno == EINTR);
  }
  good = good && ::fsync(fd) == 0;
  const int reason = errno;
  good = ::close(fd) == 0 && good;
  if (!good) fail(path, "write", std::strerror(reason));
}

void remove_marked(const fs::path& folder) noexcept {
  remove_model_files(folder);
  std::error_code ignored;
  fs::remove(folder / kFolderMarker, ignored);
  fs::remove(folder, ignored);
}

void sync_folder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;  // may be written but not read
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

ModelFolderWriter::ModelFolderWriter(const fs::path& folder, bool replace) : replace_(replace) {
  if (folder.empty()) throw Error(ErrorCode::kUsage, "--output is empty: name the folder to write", "--output");
  try {
    folder_ = fs::weakly_canonical(folder);
    if (folder_.filename().empty()) folder_ = folder_.parent_path();
    partial_ = folder_.string() + ".partial";
    aside_ = folder_.string() + ".replaced";
    check_target();
    std::error_code error;
    fs::create_directories(partial_.parent_path(), error);
    if (!fs::create_directory(partial_, error) && error) fail(partial_, "create the folder", error.message());
    lock_partial_folder();
  } catch (const std::exception& error) {
    if (fd_ >= 0) ::close(fd_);
    const auto* const system = dynamic_cast<const fs::filesystem_error*>(&error);
    if (system != nullptr) fail(folder, "write the folder", system->code().message());
    throw;
  }
}

void ModelFolderWriter::check_target() {
  if (fs::is_symlink(fs::symlink_status(folder_)))
    fail(folder_, "write the folder", "it is a symbolic link that leads nowhere; remove it");
  if (is_mount_point(folder_)) fail(folder_, "write the folder", "it is a mount point; name a folder below it");
  clear_leftover();
  if (is_empty_or_absent(folder_)) return;
  if (!replace_)
    throw Error(ErrorCode::kCannotCreate,
                folder_.string() + ": the folder is not empty; remove it, choose another --output or add --force");
  check_is_model_folder(folder_);
  if (::access(folder_.c_str(), W_OK | X_OK) != 0) fail(folder_, "replace the folder");
}

// What a process leaves that is killed while an old folder is moved aside: put back where nothing has come for it yet.
void ModelFolderWriter::clear_leftover() {
  if (!fs::exists(fs::symlink_status(aside_))) return;
  const bool absent = !fs::exists(folder_);
  if (fs::exists(aside_ / kFolderMarker)) {
    if (absent && ::rename(aside_.c_str(), folder_.c_str()) != 0) fail(aside_, "put the folder back");
    if (!absent) remove_marked(aside_);
  }
  if (replace_ && fs::exists(fs::symlink_status(aside_)))
    fail(folder_, "replace the folder", str(aside_.string(), " is in the way; move or remove it"));
}

void ModelFolderWriter::lock_partial_folder() {
  fd_ = ::open(partial_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd_ < 0) fail(partial_, "open the folder");
  struct stat opened {
  }, named{};
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) fail(partial_, "write there", "another process writes it");
    fail(partial_, "lock the folder");
  }
  if (::fstat(fd_, &opened) != 0 || ::stat(partial_.c_str(), &named) != 0 || opened.st_ino != named.st_ino)
    fail(partial_, "write there", "another process writes it");
  const auto foreign = [&](const char* reason) { fail(partial_, "write there", reason); };
  if (!fs::is_empty(partial_) && !fs::exists(partial_ / kFolderMarker))
    foreign("it is complete, or somebody else's; move or remove it");
  write_file(partial_ / kFolderMarker, "");
  remove_model_files(partial_);
  for (const fs::directory_entry& entry : fs::directory_iterator(partial_))
    if (entry.path().filename() != kFolderMarker) foreign("it holds what is somebody else's; remove it");
}

ModelFolderWriter::~ModelFolderWriter() {
  shards_.clear();
  if (fd_ >= 0 && !complete_) remove_marked(partial_);
  if (fd_ >= 0) ::close(fd_);
}

void ModelFolderWriter::write_text(const std::string& name, std::string_view text) {
  write_file(partial_ / name, text);
}

std::vector<std::string> ModelFolderWriter::copy_small_files(const fs::path& model_dir) {
  std::vector<std::string> left_out;
  for (const fs::directory_entry& entry : fs::directory_iterator(model_dir)) {
    if (!goes_along(entry)) continue;
    const std::string name = entry.path().filename().string();
    if (is_model_file_name(name) && entry.file_size() <= kMaxSmallFile)
      write_text(name, read_text_file(entry.path(), kMaxSmallFile));
    else
      left_out.push_back(name);
  }
  return left_out;
}

void ModelFolderWriter::declare(std::string_view name, DType dtype, const Shape& shape) {
  QWEN_CHECK(shards_.empty());
  declared_.push_back({std::string(name), dtype, shape});
}

void ModelFolderWriter::check_space() const {
  std::error_code error;
  const fs::space_info space = fs::space(partial_, error);
  if (!error && space.available < weight_bytes_ + kReserve)
    throw Error(ErrorCode::kCannotCreate,
                str(folder_.string(), ": the weights need ", weight_bytes_, " bytes, the disk has ", space.available,
                    " free; make room or choose another --output"));
}

void ModelFolderWriter::begin(uint64_t max_shard_bytes) {
  QWEN_CHECK(shards_.empty() && !declared_.empty());
  std::vector<std::vector<const Declared*>> plan(1);
  uint64_t in_shard = 0;
  for (const Declared& tensor : declared_) {
    const uint64_t bytes = TensorView{tensor.dtype, tensor.shape}.size_bytes();
    if (!plan.back().empty() && in_shard + bytes > max_shard_bytes) plan.emplace_back(), in_shard = 0;
    plan.back().push_back(&tensor);
    in_shard += bytes;
    weight_bytes_ += bytes;
  }
  check_space();
  for (size_t i = 0; i < plan.size(); ++i) {
    char name[64] = "model.safetensors";
    if (plan.size() > 1) std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", i + 1, plan.size());
    auto shard = std::make_unique<SafetensorsWriter>(partial_ / name);
    shard->set_metadata("format", "pt");
    for (const Declared* tensor : plan[i]) {
      const size_t number = shard->declare(tensor->name, tensor->dtype, tensor->shape);
      QWEN_CHECK(places_.emplace(tensor->name, Place{shard.get(), number}).second);
      weight_map_[tensor->name] = name;
    }
    shard->begin();
    shards_.push_back(std::move(shard));
  }
}

void ModelFolderWriter::write_at(std::string_view tensor, uint64_t offset, std::span<const std::byte> bytes) {
  const auto place = places_.find(tensor);
  QWEN_CHECK(place != places_.end());
  place->second.shard->write_at(place->second.tensor, offset, bytes);
}

void ModelFolderWriter::write_index() {
  if (shards_.size() < 2) return;
  const nlohmann::ordered_json index = {{"metadata", {{"total_size", weight_bytes_}}}, {"weight_map", weight_map_}};
  write_text("model.safetensors.index.json", index.dump(2) + "\n");
}

void ModelFolderWriter::finish(std::string_view config_json) {
  for (const auto& shard : shards_) shard->finish();
  write_index();
  write_text("config.json", config_json);
  ::fsync(fd_);
  replace_folder();
  sync_folder(folder_.parent_path());
}

void ModelFolderWriter::replace_folder() {
  complete_ = true;
  try {
    const bool occupied = !is_empty_or_absent(folder_);
    if (occupied && !replace_) fail(folder_, "complete the folder", "somebody else has written there meanwhile");
    if (occupied) return swap_with_old();
    // Replaces an empty folder by itself.
    if (::rename(partial_.c_str(), folder_.c_str()) != 0) fail(folder_, "complete the folder");
  } catch (const Error& error) {
    std::error_code ignored;
    fs::remove(partial_ / kFolderMarker, ignored);
    throw Error(error.code(), str(error.what(), "; all is written and kept as ", partial_.string()));
  }
  std::error_code ignored;
  fs::remove(folder_ / kFolderMarker, ignored);
}

// At once, or, where the file system cannot, by way of a third name, so that the old folder is there until the new one
// is. The marker says in either case that what is left of it may go.
void ModelFolderWriter::swap_with_old() {
  check_is_model_folder(folder_);
  write_file(folder_ / kFolderMarker, "");
  fs::path old = partial_;
  if (::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, folder_.c_str(), RENAME_EXCHANGE) != 0) {
    if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP) fail(folder_, "exchange the folder");
    old = aside_;
    if (::rename(folder_.c_str(), aside_.c_str()) != 0) fail(folder_, "move the old folder aside");
    if (::rename(partial_.c_str(), folder_.c_str()) != 0) {
      const int reason = errno;
      ::rename(aside_.c_str(), folder_.c_str());
      fail(folder_, "complete the folder", std::strerror(reason));
    }
  }
  std::error_code ignored;
  fs::remove(folder_ / kFolderMarker, ignored);
  remove_marked(old);
}

}  // namespace qwen
