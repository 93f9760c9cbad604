// See token_stream.h.
#include "engine/token_stream.h"

#include <utility>

#include "engine/token_channel.h"

namespace qwen {

TokenStream::TokenStream(std::shared_ptr<TokenChannel> channel) : channel_(std::move(channel)) {}

TokenStream& TokenStream::operator=(TokenStream&& other) noexcept {
  if (this != &other) {
    if (channel_) channel_->cancel();
    channel_ = std::move(other.channel_);
  }
  return *this;
}

TokenStream::~TokenStream() {
  if (channel_) channel_->cancel();
}

std::optional<TokenEvent> TokenStream::next(std::chrono::milliseconds timeout) { return channel_->next(timeout); }
std::optional<TokenEvent> TokenStream::poll() { return channel_->next(std::chrono::milliseconds(0)); }
int TokenStream::prompt_tokens() const { return channel_->prompt_tokens(); }
int TokenStream::cached_tokens() const { return channel_->cached_tokens(); }

}  // namespace qwen
