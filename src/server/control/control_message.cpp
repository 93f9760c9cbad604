#include "server/control/control_message.h"

#include <cstring>
#include <type_traits>

#include "base/error.h"

namespace qwen {
namespace {

constexpr uint64_t kMagic = 0x71636f6e74726f31;  // and the layout's version

struct Wire {
  uint64_t magic, ticket;
  ControlOutcome outcome;
  int32_t from;
  uint32_t kind, action;
  uint8_t admin, id_size, key_name_size, unused;
  char id[kMaxControlText], key_name[kMaxControlText];
};
static_assert(std::is_trivially_copyable_v<Wire>);

}  // namespace

std::string encode(const ControlMessage& message) {
  const ControlRequest& request = message.request;
  QWEN_CHECK(request.id.size() <= kMaxControlText && request.key_name.size() <= kMaxControlText);
  Wire wire{};
  wire.magic = kMagic;
  wire.ticket = message.ticket;
  wire.from = message.from;
  wire.kind = static_cast<uint32_t>(message.kind);
  wire.action = static_cast<uint32_t>(request.action);
  wire.admin = request.admin ? 1 : 0;
  wire.id_size = static_cast<uint8_t>(request.id.size());
  wire.key_name_size = static_cast<uint8_t>(request.key_name.size());
  std::memcpy(wire.id, request.id.data(), request.id.size());
  std::memcpy(wire.key_name, request.key_name.data(), request.key_name.size());
  std::memcpy(&wire.outcome, &message.outcome, sizeof wire.outcome);
  return {reinterpret_cast<const char*>(&wire), sizeof wire};
}

std::optional<ControlMessage> decode(std::string_view bytes) {
  Wire wire;
  if (bytes.size() != sizeof wire) return std::nullopt;
  std::memcpy(&wire, bytes.data(), sizeof wire);
  if (wire.magic != kMagic || wire.kind > static_cast<uint32_t>(ControlMessage::Kind::kAnswer) ||
      wire.action > static_cast<uint32_t>(ControlAction::kCancel) || wire.id_size > kMaxControlText ||
      wire.key_name_size > kMaxControlText || wire.from < 0)
    return std::nullopt;
  return ControlMessage{.kind = static_cast<ControlMessage::Kind>(wire.kind),
                        .from = wire.from,
                        .ticket = wire.ticket,
                        .request = {.action = static_cast<ControlAction>(wire.action),
                                    .id = std::string(wire.id, wire.id_size),
                                    .key_name = std::string(wire.key_name, wire.key_name_size),
                                    .admin = wire.admin != 0},
                        .outcome = wire.outcome};
}

}  // namespace qwen
