// The unpickler builds plain values and refuses, by name, whatever would run code in Python.
#include "weights/pickle_reader.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/torch_file.h"

namespace qwen {
namespace {

using Kind = PickleValue::Kind;

Pickle read(const std::string& body) { return read_pickle(body, "dir/pytorch_model.bin"); }

template <size_t N>
std::string raw(const char (&text)[N]) {
  return {text, N - 1};
}

TEST(PickleReader, ReadsPlainValues) {
  // {"a": (1, -2, None, True), "b": [300]}, with a memo and protocol 4's frame, short text and MEMOIZE.
  const std::string bytes =
      raw("\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01"
          "a\x94(K\x01J\xfe\xff\xff\xffN\x88t\x94"
          "\x8c\x01"
          "b\x94]\x94M\x2c\x01"
          "au.");
  const Pickle pickle = read(bytes);  // its texts are views of the bytes
  const PickleValue& root = pickle.values[pickle.root];
  ASSERT_EQ(root.kind, Kind::kDict);
  ASSERT_EQ(root.items.size(), 4u);
  EXPECT_EQ(pickle.values[root.items[0]].text, "a");
  const PickleValue& tuple = pickle.values[root.items[1]];
  ASSERT_EQ(tuple.items.size(), 4u);
  EXPECT_EQ(pickle.values[tuple.items[1]].integer, -2);
  EXPECT_EQ(pickle.values[tuple.items[2]].kind, Kind::kNone);
  const PickleValue& list = pickle.values[root.items[3]];
  EXPECT_EQ(pickle.values[list.items[0]].integer, 300);
}

TEST(PickleReader, ReadsLongIntegersOfEveryLength) {
  for (const int64_t value : {int64_t{0}, int64_t{-1}, INT64_MIN, INT64_MAX, int64_t{1} << 40}) {
    const Pickle pickle = read("\x80\x02" + pickle_int(value) + ".");
    EXPECT_EQ(pickle.values[pickle.root].integer, value);
  }
  EXPECT_EQ(read(raw("\x80\x02\x8a\x00.")).values[0].integer, 0);
  EXPECT_EQ(read(raw("\x80\x02\x8a\x02\x00\xff.")).values[0].integer, -256);
}

TEST(PickleReader, ACycleIsOnlyAnIndex) {
  const Pickle pickle =
      read(raw("\x80\x02]q\x00h\x00"
               "a."));  // l = []; l.append(l)
  ASSERT_EQ(pickle.values.size(), 1u);
  EXPECT_EQ(pickle.values[0].items, std::vector<uint32_t>{0});
}

struct BadPickle {
  const char* name;
  std::string bytes;
  const char* words;
};

class PickleReaderRefuses : public testing::TestWithParam<BadPickle> {};

TEST_P(PickleReaderRefuses, ThePickle) {
  EXPECT_TRUE(fails_with([] { read(GetParam().bytes); }, ErrorCode::kBadData, GetParam().words));
}

std::vector<BadPickle> bad_pickles() {
  const std::string proto = raw("\x80\x02");
  return {
      {"OsSystem", pickle_call("os", "system", "true"), "\"os.system\""},
      {"PosixSystem", pickle_call("posix", "system", "true"), "\"posix.system\""},
      {"Eval", pickle_call("builtins", "eval", "1"), "\"builtins.eval\""},
      {"Getattr", pickle_call("__builtin__", "getattr", "1"), "\"__builtin__.getattr\""},
      {"TorchLoad", pickle_call("torch", "load", "x"), "\"torch.load\""},
      {"NameWithDot", pickle_call("torch._utils", "_rebuild_tensor_v2.__globals__", "x"), "refused"},
      {"ModuleSwallowsName",
       "\x80\x02"
       "ctorch.FloatStorage\nx\n.",
       "refused"},
      {"ControlCharacters", pickle_call("o\x1b[31ms", "sys\ttem", "x"), "o\\x1b[31ms.sys\\x09tem"},
      {"StackGlobal", raw("\x80\x04\x8c\x02os\x8c\x06system\x93)R."), "\"os.system\""},
      {"StackGlobalOfNumbers", raw("\x80\x04K\x01K\x02\x93."), "refused"},
      {"Inst", raw("\x80\x02(X\x04\x00\x00\x00trueios\nsystem\n."), "\"os.system\""},
      {"Protocol0", raw("cos\nsystem\n(S'true'\ntR."), "\"os.system\""},
      {"NewObject",
       raw("\x80\x02"
           "ccollections\nOrderedDict\n)\x81."),
       "0x81"},
      {"Extension", raw("\x80\x02\x82\x01."), "0x82"},
      {"OrderedDictWithArguments",
       raw("\x80\x02"
           "ccollections\nOrderedDict\n]\x85R."),
       "with arguments"},
      {"RebuildWithoutStorage",
       raw("\x80\x02"
           "ctorch._utils\n_rebuild_tensor_v2\n(K\x00K\x00K\x00K\x00K\x00K\x00tR."),
       "with arguments"},
      {"CallsAStorageType",
       raw("\x80\x02"
           "ctorch\nFloatStorage\n)R."),
       "with arguments"},
      {"CallsANumber", raw("\x80\x02K\x01)R."), "no function"},
      {"BuildsANumber", raw("\x80\x02K\x01}b."), "not a dictionary"},
      {"PersistentText", raw("\x80\x02X\x01\x00\x00\x00xQ."), "no storage"},
      {"Protocol6", raw("\x80\x06N."), "protocol 6"},
      {"Empty", "", "truncated"},
      {"NoStop", raw("\x80\x02N"), "truncated"},
      {"StopOnEmpty", raw("\x80\x02."), "empty stack"},
      {"LeftOver", raw("\x80\x02NN."), "left over"},
      {"TupleWithoutMark", raw("\x80\x02t."), "lacks a mark"},
      {"PopsThroughMark", raw("\x80\x02N(\x85."), "empty stack"},
      {"OddItems", raw("\x80\x02}(Nu."), "key without a value"},
      {"AppendsToDict", raw("\x80\x02}Na."), "not a list"},
      {"UnsetMemo", raw("\x80\x02h\x05."), "memo slot 5"},
      {"HugeMemo", raw("\x80\x02Nr\xff\xff\xff\xff."), "memo slot 4294967295"},
      {"TextBeyondEnd",
       raw("\x80\x02X\xff\x00\x00\x00"
           "abc."),
       "truncated"},
      {"HugeText",
       raw("\x80\x02X\xff\xff\xff\xff"
           "abc."),
       "text of 4294967295 bytes"},
      {"HugeText64",
       raw("\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
           "abc."),
       "text of"},
      {"UnknownOpcode", raw("\x80\x02\xee."), "0xee"},
      {"MarkBomb", proto + std::string(kMaxPickleValues + 1, '('), "too many marks"},
      {"ValueBomb", proto + std::string(kMaxPickleValues + 1, 'N'), "more than"},
      {"MemoBomb",
       proto + "Nq" + std::string(1, '\0') +
           [] {
             std::string gets;
             for (size_t i = 0; i <= kMaxPickleValues; ++i) gets += std::string("h\0", 2);
             return gets;
           }(),
       "too many values"},
      {"TooLong", std::string(kMaxPickleBytes + 1, 'N'), "at most"},
  };
}

INSTANTIATE_TEST_SUITE_P(Table, PickleReaderRefuses, testing::ValuesIn(bad_pickles()),
                         [](const auto& param) { return std::string(param.param.name); });

TEST(PickleReader, SurvivesEveryCutAndEveryChangedByte) {
  const std::string good = pickle_state_dict({{.name = "w", .storage_size = 6, .size = {2, 3}, .stride = {3, 1}}});
  ASSERT_NO_THROW(read(good));
  for (size_t cut = 0; cut < good.size(); ++cut) EXPECT_THROW(read(good.substr(0, cut)), Error) << cut;
  for (size_t at = 0; at < good.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string bad = good;
      bad[at] = static_cast<char>(byte);
      try {
        const Pickle pickle = read(bad);
        for (const PickleValue& value : pickle.values)
          for (const uint32_t item : value.items) ASSERT_LT(item, pickle.values.size());
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kBadData);
      }
    }
  }
}

}  // namespace
}  // namespace qwen
