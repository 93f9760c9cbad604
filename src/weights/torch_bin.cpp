// Joins what the pickle claims (type, offset, shape) with what the archive holds; a tensor is a range of the file or is
// refused.
#include "weights/torch_bin.h"

#include <algorithm>
#include <optional>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/quote.h"
#include "weights/pickle_reader.h"
#include "weights/zip_reader.h"

namespace qwen {
namespace {

using Kind = PickleValue::Kind;

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw Error(ErrorCode::kBadData, path + ": " + what);
}

std::optional<DType> storage_dtype(std::string_view global) {
  if (global == "torch.FloatStorage") return DType::kF32;
  if (global == "torch.HalfStorage") return DType::kF16;
  if (global == "torch.BFloat16Storage") return DType::kBF16;
  if (global == "torch.LongStorage") return DType::kI64;
  if (global == "torch.IntStorage") return DType::kI32;
  if (global == "torch.CharStorage") return DType::kI8;
  if (global == "torch.ByteStorage") return DType::kU8;
  return std::nullopt;
}

// What the pickle claims about one tensor, checked against the archive.
class TensorReader {
 public:
  TensorReader(const Pickle& pickle, const ZipDirectory& zip, std::string_view folder, const std::string& path)
      : pickle_(pickle), zip_(zip), folder_(folder), path_(path) {}

  TensorInfo read(std::string_view name, const PickleValue& tensor) {
    name_ = name;
    TensorInfo info{.name = std::string(name)};
    const PickleValue& storage = at(tensor.items[0]);
    const std::string_view type = at(storage.items[1]).text;
    const std::optional<DType> dtype = storage_dtype(type);
    if (!dtype) fail_tensor(str("is of ", type, ", which is not supported; convert it to a 32 or 16 bit float"));
    info.dtype = *dtype;
    const uint64_t element = dtype_size(info.dtype);
    const uint64_t capacity = whole_number(at(storage.items[4]), "storage size");
    const ZipEntry& entry = storage_entry(at(storage.items[2]).text);
    if (checked_mul(capacity, element) != entry.size)
      fail_tensor(str("its storage is ", capacity, " elements of ", element, " bytes, but zip entry ",
                      quote(entry.name), " has ", entry.size, " bytes"));
    const uint64_t begin = whole_number(at(tensor.items[1]), "storage_offset");
    const uint64_t elements = read_shape(at(tensor.items[2]), at(tensor.items[3]), info.shape);
    if (begin > capacity || elements > capacity - begin)
      fail_tensor(str("elements ", begin, " to ", begin, " + ", elements, " lie outside its storage of ", capacity));
    info.offset = entry.offset + begin * element;
    info.size_bytes = elements * element;
    return info;
  }

 private:
  const PickleValue& at(uint32_t index) const { return pickle_.values[index]; }
  [[noreturn]] void fail_tensor(const std::string& what) const {
    fail(path_, str("tensor ", quote(name_), ": ", what));
  }

  uint64_t whole_number(const PickleValue& value, const char* what) const {
    if (value.kind != Kind::kInt || value.integer < 0) fail_tensor(str("its ", what, " is not a whole number from 0"));
    return static_cast<uint64_t>(value.integer);
  }
  const ZipEntry& storage_entry(std::string_view key) const {
    const ZipEntry* entry = zip_.find(str(folder_, "data/", key));
    if (entry == nullptr) fail_tensor(str("the archive lacks its storage, data/", quote(key)));
    return *entry;
  }
  // Returns the number of elements. Only row-major contiguous tensors are views of their bytes.
  uint64_t read_shape(const PickleValue& size, const PickleValue& stride, Shape& shape) const {
    const size_t rank = size.items.size();
    if (size.kind != Kind::kTuple || stride.kind != Kind::kTuple || stride.items.size() != rank ||
        rank > Shape::kMaxRank)
      fail_tensor(str("its size and stride are not two tuples of equal length, at most ", Shape::kMaxRank));
    uint64_t elements = 1;
    for (size_t i = rank; i-- > 0;) {
      const uint64_t dim = whole_number(at(size.items[i]), "size");
      const uint64_t step = whole_number(at(stride.items[i]), "stride");
      if (dim == 0) fail_tensor("it has a dimension of 0");
      if (dim != 1 && step != elements)
        fail_tensor(
            "it is not contiguous (a transposed or strided view); save it with .contiguous() or as safetensors");
      const auto product = checked_mul(elements, dim);
      if (!product) fail_tensor("its size is more than 2^64 elements");
      elements = *product;
    }
    for (const uint32_t item : size.items) shape.push_back(at(item).integer);
    return elements;
  }

  const Pickle& pickle_;
  const ZipDirectory& zip_;
  std::string_view folder_;
  const std::string& path_;
  std::string_view name_;
};

// "archive/" for the archive that holds "archive/data.pkl" and no other pickle of that name.
std::string_view find_folder(const ZipDirectory& zip, const std::string& path) {
  constexpr std::string_view kPickle = "data.pkl";
  std::optional<std::string_view> folder;
  for (const ZipEntry& entry : zip.entries()) {
    if (!entry.name.ends_with(kPickle)) continue;
    const std::string_view prefix = entry.name.substr(0, entry.name.size() - kPickle.size());
    if (prefix.find('/') + 1 != prefix.size()) continue;
    if (folder) fail(path, "has two data.pkl; torch.save writes one");
    folder = prefix;
  }
  if (!folder) fail(path, "the zip archive has no data.pkl; it was not written by torch.save");
  return *folder;
}

std::string_view text_of(std::span<const std::byte> file, const ZipEntry& entry) {
  return {reinterpret_cast<const char*>(file.data()) + entry.offset, entry.size};
}

// torch.save before 1.6 and bare pickles have no archive. What such a file asks for is still named, if it is not
// harmless.
void check_archive(std::span<const std::byte> file, const std::string& path) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (text.starts_with("PK")) return;
  if (text.starts_with('\x80') || text.starts_with('c') || text.starts_with('('))
    read_pickle(text.substr(0, kMaxPickleBytes), path);
  fail(path,
       "is not a zip archive, as torch.save writes since torch 1.6; save it again with a newer torch, or as "
       "safetensors");
}

}  // namespace

TorchFile read_torch_bin(std::span<const std::byte> file, const std::string& path) {
  check_archive(file, path);
  const ZipDirectory zip(file, path);
  const std::string_view folder = find_folder(zip, path);
  if (const ZipEntry* order = zip.find(str(folder, "byteorder")); order != nullptr && text_of(file, *order) != "little")
    fail(path,
         "was saved on a big-endian machine (its byteorder entry is not \"little\"); save it again as safetensors");

  TorchFile result{.pickle = text_of(file, *zip.find(str(folder, "data.pkl")))};
  const Pickle pickle = read_pickle(result.pickle, path);
  const PickleValue& root = pickle.values[pickle.root];
  if (root.kind != Kind::kDict) fail(path, "does not hold a dictionary; save model.state_dict()");
  if (root.items.size() / 2 > kMaxTensors)
    fail(path, str("holds more than ", kMaxTensors, " tensors, the most allowed"));
  TensorReader reader(pickle, zip, folder, path);
  std::vector<std::string_view> names;
  for (size_t i = 0; i < root.items.size(); i += 2) {
    const PickleValue &key = pickle.values[root.items[i]], &value = pickle.values[root.items[i + 1]];
    if (key.kind != Kind::kText) fail(path, "has an entry whose name is not text");
    if (value.kind != Kind::kTensor)
      fail(path, str("entry ", quote(key.text), " is not a tensor; save model.state_dict()"));
    names.push_back(key.text);
    result.tensors.push_back(reader.read(key.text, value));
  }
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
    fail(path, str("tensor ", quote(*twice), " is there twice"));
  return result;
}

}  // namespace qwen
