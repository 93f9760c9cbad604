// See quality_report.h.
#include "commands/quality_report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>

#include "commands/format_number.h"

namespace qwen {
namespace {

using Json = nlohmann::ordered_json;

std::string_view peer_of(std::string_view format) {
  return format.starts_with("int8") ? "q8_0" : format.starts_with("int4") ? "q4_0" : "";
}

std::string right(const std::string& text, size_t width) {
  return std::string(text.size() < width ? width - text.size() : 0, ' ') + text;
}

std::string scientific(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.3e", value);
  return buffer;
}

}  // namespace

std::optional<double> QualityReport::kl_ratio(const FormatQuality& format) const {
  const std::string_view peer = peer_of(format.format);
  const auto found =
      std::find_if(formats.begin(), formats.end(), [&](const FormatQuality& other) { return other.format == peer; });
  if (found == formats.end() || !(found->agreement.mean_kl > 0)) return std::nullopt;
  return format.agreement.mean_kl / found->agreement.mean_kl;
}

std::string quality_table(const QualityReport& report) {
  std::ostringstream out;
  out << report.model << ", " << report.layers << (report.layers == 1 ? " layer" : " layers")
      << ": logits against bf16 "
      << "weights and f32 activations (kernels " << report.reference_kernels << ")\n"
      << report.sequences << " sequences of " << report.text << '\n'
      << report.cpu << ", " << report.date << "\n\n"
      << "format         bits/weight   mean KL      ±          of llama.cpp's   same top token   positions   kernels\n";
  for (const FormatQuality& format : report.formats) {
    const LogitAgreement& a = format.agreement;
    const std::optional<double> ratio = report.kl_ratio(format);
    out << format.format
        << right(fixed(format.bits_per_weight, 2), format.format.size() < 26 ? 26 - format.format.size() : 1) << "   "
        << scientific(a.mean_kl) << "    " << scientific(a.standard_error)
        << right(ratio ? fixed(*ratio, 2) + " x" : "-", 14) << right(fixed(a.top1 * 100, 2) + " %", 17)
        << right(grouped(a.positions), 12) << "   " << format.kernels << '\n';
  }
  out << "\nq8_0, q4_0: llama.cpp's formats, simulated: weights and activations rounded in blocks of 32, the rest in "
         "f32; "
         "q4_0 with a\nq8_0 embedding and head. Of llama.cpp's: the mean KL as a multiple of that of the format with "
         "as "
         "many bits.\n"
         "kv-int8: the reference with keys and values in int8.\n";
  return out.str();
}

std::string quality_json(const QualityReport& report) {
  Json formats = Json::array();
  for (const FormatQuality& format : report.formats) {
    const LogitAgreement& a = format.agreement;
    const std::optional<double> ratio = report.kl_ratio(format);
    formats.push_back({{"format", format.format},
                       {"kernels", format.kernels},
                       {"bits_per_weight", format.bits_per_weight},
                       {"mean_kl", a.mean_kl},
                       {"standard_error", a.standard_error},
                       {"top1_agreement", a.top1},
                       {"kl_ratio", ratio ? Json(*ratio) : Json()},
                       {"positions", a.positions}});
  }
  const Json json = {{"model", report.model},
                     {"layers", report.layers},
                     {"reference_kernels", report.reference_kernels},
                     {"text", report.text},
                     {"sequences", report.sequences},
                     {"cpu", report.cpu},
                     {"date", report.date},
                     {"formats", formats}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace qwen
