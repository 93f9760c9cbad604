#include "server/cache/redis_protocol.h"

#include <hiredis/hiredis.h>

#include <new>
#include <vector>

#include "server/cache/cached_answer.h"

namespace qwen {
namespace {

// A value and what the protocol puts around it.
constexpr size_t kMaxReply = kMaxEncodedAnswer + 1024;

// The parser's objects are RedisReply. No command here is answered by a list, so that none is ever made. Called by C
// code, which no exception may cross; null is its word for no memory.
void* make_string(const redisReadTask* task, char* text, size_t size) {
  auto kind = RedisReply::Kind::kText;
  if (task->type == REDIS_REPLY_STATUS) kind = RedisReply::Kind::kStatus;
  if (task->type == REDIS_REPLY_ERROR) kind = RedisReply::Kind::kError;
  try {
    return new RedisReply{kind, std::string(text, size)};
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* make_integer(const redisReadTask*, long long) {
  return new (std::nothrow) RedisReply{RedisReply::Kind::kInteger, {}};
}
void* make_nil(const redisReadTask*) { return new (std::nothrow) RedisReply{}; }
void free_reply(void* reply) { delete static_cast<RedisReply*>(reply); }

// Numbers and truth values came with hiredis 1.0, for a protocol that is not asked for.
template <typename Functions>
void refuse_newer_kinds(Functions& functions) {
  if constexpr (requires { functions.createDouble; }) {
    functions.createDouble = [](const redisReadTask*, auto, auto*, auto) -> void* { return nullptr; };
    functions.createBool = [](const redisReadTask*, auto) -> void* { return nullptr; };
  }
}

redisReplyObjectFunctions reply_functions() {
  redisReplyObjectFunctions functions{};
  functions.createString = make_string;
  functions.createArray = [](const redisReadTask*, auto) -> void* { return nullptr; };  // int or size_t, by version
  functions.createInteger = make_integer;
  functions.createNil = make_nil;
  functions.freeObject = free_reply;
  refuse_newer_kinds(functions);
  return functions;
}

struct FreeReader {
  void operator()(redisReader* reader) const { redisReaderFree(reader); }
};

}  // namespace

struct RedisReplyReader::Impl {
  redisReplyObjectFunctions functions = reply_functions();
  std::unique_ptr<redisReader, FreeReader> reader{redisReaderCreateWithFunctions(&functions)};
  size_t size = 0;  // of the reply so far
};

RedisReplyReader::RedisReplyReader() : impl_(std::make_unique<Impl>()) {
  if (!impl_->reader) throw RedisFailure("no memory");
}
RedisReplyReader::~RedisReplyReader() = default;

void RedisReplyReader::expect_next() { impl_->size = 0; }

std::optional<RedisReply> RedisReplyReader::feed(std::string_view bytes) {
  impl_->size += bytes.size();
  if (impl_->size > kMaxReply) throw RedisFailure("a reply is larger than any answer stored here");
  redisReader* const reader = impl_->reader.get();
  void* parsed = nullptr;
  if (redisReaderFeed(reader, bytes.data(), bytes.size()) != REDIS_OK ||
      redisReaderGetReply(reader, &parsed) != REDIS_OK)
    throw RedisFailure("what it says is not Redis' protocol");
  const std::unique_ptr<RedisReply> reply(static_cast<RedisReply*>(parsed));
  if (!reply) return std::nullopt;
  // One command is under way: whatever follows its reply would be taken for the next one's.
  if (reader->pos != reader->len) throw RedisFailure("more than one reply to a command");
  return std::move(*reply);
}

std::string redis_command(std::initializer_list<std::string_view> words) {
  std::vector<const char*> texts;
  std::vector<size_t> sizes;
  for (const std::string_view word : words) {
    texts.push_back(word.data());
    sizes.push_back(word.size());
  }
  char* command = nullptr;
  const auto size = redisFormatCommandArgv(&command, static_cast<int>(texts.size()), texts.data(), sizes.data());
  if (size < 0) throw RedisFailure("no memory");
  std::string bytes(command, static_cast<size_t>(size));
  redisFreeCommand(command);
  return bytes;
}

}  // namespace qwen
