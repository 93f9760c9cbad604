// A configuration file: what is refused is refused in one line, what is read means the same when it is written out
// again, and looking for every fault finds one where there is one.
#include <nlohmann/json.hpp>

#include "fuzz.h"
#include "server/config/config_faults.h"
#include "server/config/config_file.h"
#include "server/config/yaml_settings.h"

namespace qwen::fuzz {
namespace {

std::string quoted(const std::string& text) { return nlohmann::json(text).dump(); }

void check_settings(std::string_view text) {
  std::vector<YamlSetting> settings;
  if (!accepts(ErrorCode::kConfig, [&] { settings = read_yaml_settings(text, "f.yaml"); })) return;
  FUZZ_CHECK(settings.size() <= kMaxYamlSettings);
  std::string written;
  for (const YamlSetting& setting : settings) {
    FUZZ_CHECK(setting.line >= 1);
    if (setting.path.size() > kMaxYamlKey) return;  // joined of shorter keys, too long for one
    written += quoted(setting.path) + ": " + (setting.empty ? "" : quoted(setting.value)) + '\n';
  }
  if (written.size() > kMaxYamlBytes) return;
  const std::vector<YamlSetting> again = read_yaml_settings(written, "again.yaml");
  FUZZ_CHECK(again.size() == settings.size());
  for (size_t i = 0; i < again.size(); ++i)
    FUZZ_CHECK(again[i].path == settings[i].path && again[i].value == settings[i].value &&
               again[i].empty == settings[i].empty);
}

// Values that are no keys' values are refused when all is put together.
void check_config(std::string_view text) {
  const bool good = accepts(ErrorCode::kConfig, [&] { resolve_config(std::vector{parse_config(text, "f.yaml")}); });
  ConfigFaults faults;
  resolve_config(std::vector{parse_config(text, "f.yaml", &faults)}, &faults);
  FUZZ_CHECK(faults.all().empty() == good);
  accepts(ErrorCode::kConfig, [&] { resolve_config(std::vector{dictionary_layer(text, "CACHE_CONFIG")}); });
  const std::string variable(text.substr(0, text.find('\0')));
  accepts(ErrorCode::kConfig, [&] {
    resolve_config(std::vector{environment_layer([&](const char* name) -> const char* {
      return std::string_view(name) == "API_KEYS" ? variable.c_str() : nullptr;
    })});
  });
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = qwen::fuzz::text_of(data, size);
  qwen::fuzz::check_settings(text);
  qwen::fuzz::check_config(text);
  return 0;
}
