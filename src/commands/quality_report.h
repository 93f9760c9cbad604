// What `bench quality` prints: a table for people, one JSON object for programs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "commands/logit_agreement.h"

namespace qwen {

struct FormatQuality {
  std::string format;          // none, int8, int4 …, q8_0, q4_0, kv-int8
  std::string kernels;         // that computed it
  double bits_per_weight = 0;  // of all matrices, scales included
  LogitAgreement agreement;
};

struct QualityReport {
  std::string model;
  std::string reference_kernels;
  std::string text;  // where the tokens are from
  std::string cpu, date;
  int layers = 0;
  int sequences = 0;
  std::vector<FormatQuality> formats;

  // mean_kl of the format divided by that of llama.cpp's with as many bits: int8… by q8_0, int4… by q4_0. Nothing where
  // there is no such, or it was not measured.
  std::optional<double> kl_ratio(const FormatQuality& format) const;
};

std::string quality_table(const QualityReport& report);
std::string quality_json(const QualityReport& report);  // one line

}  // namespace qwen
