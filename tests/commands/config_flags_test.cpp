#include "commands/config_flags.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>

#include "support/expect_error.h"
#include "support/scratch_folder.h"

namespace qwen {
namespace {

class ConfigFlagsTest : public testing::Test {
 protected:
  ~ConfigFlagsTest() override {
    for (const char* name : {"PORT", "MODEL_PATH", "KERNELS", "DEMO", "BATCH_CONFIG"}) ::unsetenv(name);
  }
  // Parses `arguments` for a command that declares `flags`.
  static ServiceConfig resolve(std::vector<std::string> arguments, std::initializer_list<std::string_view> flags = {}) {
    CLI::App app;
    ConfigFlags config_flags;
    config_flags.declare(app, flags);
    std::reverse(arguments.begin(), arguments.end());
    app.parse(arguments);
    return config_flags.resolve();
  }
};

TEST_F(ConfigFlagsTest, FlagsWinOverTheEnvironment) {
  ::setenv("PORT", "1234", 1);
  ::setenv("MODEL_PATH", "/from/environment", 1);
  EXPECT_EQ(resolve({}).port, 1234);
  EXPECT_EQ(resolve({"--port", "99"}).port, 99);
  EXPECT_EQ(resolve({"-m", "/from/flag"}).model_path, "/from/flag");
  EXPECT_EQ(resolve({"-m", "/from/flag"}).port, 1234);
}

TEST_F(ConfigFlagsTest, Switches) {
  EXPECT_FALSE(resolve({}).demo);
  EXPECT_TRUE(resolve({"--demo"}).demo);
  ::setenv("DEMO", "true", 1);
  EXPECT_TRUE(resolve({}).demo);
}

TEST_F(ConfigFlagsTest, ACommandLooksOnlyAtWhatItDeclares) {
  ::setenv("PORT", "eighty", 1);
  ::setenv("MODEL_PATH", "/models/x", 1);
  const ServiceConfig config = resolve({}, {"model", "kernels"});
  EXPECT_EQ(config.model_path, "/models/x");
  EXPECT_EQ(config.port, ServiceConfig().port);
  EXPECT_THROW(resolve({"--port", "80"}, {"model"}), CLI::ExtrasError);
  EXPECT_TRUE(fails_with([] { resolve({}); }, ErrorCode::kConfig, "PORT"));
}

TEST_F(ConfigFlagsTest, ACommandsOwnDefaultIsTheWeakest) {
  CLI::App app;
  ConfigFlags flags;
  flags.set_default("port", "77");
  flags.declare(app, {"port", "host"});
  app.parse(std::vector<std::string>{});
  EXPECT_EQ(flags.resolve().port, 77);
  EXPECT_EQ(flags.resolve().host, ServiceConfig().host);
  EXPECT_NE(app.help().find("(77)"), std::string::npos);
  ::setenv("PORT", "1234", 1);
  EXPECT_EQ(flags.resolve().port, 1234);
  app.parse(std::vector<std::string>{"99", "--port"});
  EXPECT_EQ(flags.resolve().port, 99);
}

TEST_F(ConfigFlagsTest, FilesAreBelowTheEnvironmentAndTheLastOneWins) {
  const ScratchFolder scratch;
  const std::vector<std::string> files = {scratch.write("a.yaml", "server: {port: 1, host: a, timeout: 7}").string(),
                                          scratch.write("b.yaml", "server: {port: 2, host: b}").string()};
  ::setenv("PORT", "3", 1);
  CLI::App app;
  ConfigFlags all, one;
  all.declare(app);
  CLI::App other;
  one.declare(other, {"port"});
  app.parse(std::vector<std::string>{});
  other.parse(std::vector<std::string>{});
  const EffectiveConfig effective = all.resolve(files);
  EXPECT_EQ(effective.config.port, 3);
  EXPECT_EQ(effective.config.host, "b");
  EXPECT_EQ(effective.config.request_timeout.count(), 7);
  EXPECT_TRUE(effective.config.origins.at("server.host").from_file);
  EXPECT_EQ(one.resolve(files).config.host, ServiceConfig().host) << "not declared";
  EXPECT_EQ(all.resolve().host, ServiceConfig().host);
}

TEST_F(ConfigFlagsTest, ADictionaryIsAMatterOfTheService) {
  ::setenv("BATCH_CONFIG", "no dictionary", 1);
  EXPECT_EQ(resolve({}, {"port"}).port, ServiceConfig().port);
  EXPECT_TRUE(fails_with([] { resolve({}); }, ErrorCode::kConfig, "BATCH_CONFIG"));
}

TEST_F(ConfigFlagsTest, AWrongFlagIsAUsageError) {
  EXPECT_TRUE(fails_with([] { resolve({"--port", "99999"}); }, ErrorCode::kUsage, "--port"));
  EXPECT_TRUE(fails_with([] { resolve({"--threads", "many"}, {"threads"}); }, ErrorCode::kUsage, "--threads"));
}

}  // namespace
}  // namespace qwen
