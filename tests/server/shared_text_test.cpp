// A text that others read while it is written.
#include "server/workers/shared_text.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace qwen {
namespace {

TEST(SharedText, IsWhatWasWrittenLast) {
  const auto text = std::make_unique<SharedText>();
  EXPECT_FALSE(text->read());
  EXPECT_EQ(text->version(), 0u);
  EXPECT_TRUE(text->write({"long, ", "and longer"}));
  EXPECT_EQ(text->read()->text, "long, and longer");
  EXPECT_TRUE(text->write({"short"}));
  EXPECT_EQ(text->read()->text, "short");
  EXPECT_EQ(text->read()->number, 2u);
  EXPECT_FALSE(text->write({std::string(SharedText::kMostBytes, 'a'), "b"}));
  EXPECT_EQ(text->read()->text, "short") << "what is too large changes nothing";
  EXPECT_TRUE(text->write({""}));
  EXPECT_EQ(text->read()->text, "");
}

TEST(SharedText, IsReadWhole) {
  const auto text = std::make_unique<SharedText>();
  text->write({std::string(1000, 'a')});
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (char c = 'a'; !stop; c = c == 'z' ? 'a' : static_cast<char>(c + 1)) text->write({std::string(1000, c)});
  });
  for (int i = 0; i < 20'000; ++i) {
    const auto read = text->read();
    ASSERT_TRUE(!read || read->text == std::string(1000, read->text[0]));
  }
  stop = true;
  writer.join();
}

}  // namespace
}  // namespace qwen
