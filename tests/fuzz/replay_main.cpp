// Runs a harness over files and folders of inputs, where libFuzzer does not: in every build, so that what a fuzzer once
// found stays found. Fails where an input takes more processor time than kMaxSeconds (sanitizers included), or where
// there is no input at all.
#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "fuzz.h"

namespace {

namespace fs = std::filesystem;

constexpr double kMaxSeconds = 2;

double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

bool run(const std::string& bytes, const std::string& name) {
  const double start = processor_seconds();
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  const double seconds = processor_seconds() - start;
  if (seconds <= kMaxSeconds) return true;
  std::cerr << name << ": took " << seconds << " s of processor time\n";
  return false;
}

std::vector<fs::path> files_of(int count, char** arguments) {
  std::vector<fs::path> files;
  for (int i = 1; i < count; ++i) {
    if (!fs::is_directory(arguments[i])) {
      files.emplace_back(arguments[i]);
      continue;
    }
    for (const auto& entry : fs::directory_iterator(arguments[i])) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<fs::path> files = files_of(count, arguments);
  bool good = run("", "the empty input") && !files.empty();
  for (const fs::path& file : files) {
    std::cout << file.string() << std::endl;  // flushed: the last line names an input that ends the process
    std::ifstream in(file, std::ios::binary);
    if (!in) good = false;
    good = run({std::istreambuf_iterator<char>(in), {}}, file.string()) && good;
  }
  std::cout << files.size() << " inputs" << std::endl;
  return good ? 0 : 1;
}
