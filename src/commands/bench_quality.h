// `bench quality`, declared below `bench`.
#pragma once

#include "commands/commands.h"

namespace qwen {

void add_bench_quality(CLI::App& bench, CommandRun& run);

}  // namespace qwen
