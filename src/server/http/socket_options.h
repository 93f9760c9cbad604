// How the socket of a client is set up.
#pragma once

namespace qwen {

// Small writes leave at once, a peer that vanished without a word is noticed within a minute, and the kernel holds
// little of what a slow reader has not taken: the rest waits where HttpLimits::max_stream_buffer bounds it. Never
// fails: what the kernel does not know is left out.
void set_client_options(int socket);

}  // namespace qwen
