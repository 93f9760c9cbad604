// See token_sequences.h.
#include "commands/token_sequences.h"

#include <algorithm>
#include <cmath>
#include <deque>

#include "base/error.h"
#include "commands/direct_runner.h"
#include "engine/philox.h"

namespace qwen {
namespace {

// The first id at which the cumulated probability passes `uniform`.
TokenId draw(std::span<const float> logits, double uniform) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (const float logit : logits) total += std::exp(double{logit} - largest);
  double rest = uniform * total;
  for (size_t id = 0; id + 1 < logits.size(); ++id) {
    rest -= std::exp(double{logits[id]} - largest);
    if (rest < 0) return static_cast<TokenId>(id);
  }
  return static_cast<TokenId>(logits.size() - 1);
}

// Sequences of neighbouring seeds have nothing in common: a sequence's own seed is drawn with another counter than its
// tokens.
uint64_t seed_of(uint64_t seed, size_t sequence) {
  const auto bits =
      philox4x32(seed, {static_cast<uint32_t>(sequence), static_cast<uint32_t>(uint64_t{sequence} >> 32), 1, 0});
  return uint64_t{bits[0]} << 32 | bits[1];
}

bool contains(const std::vector<TokenId>& ids, TokenId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

TokenSequences cut_sequences(std::span<const TokenId> ids, int count, int length) {
  TokenSequences sequences;
  for (int i = 0; i < count && ids.size() > 1; ++i) {
    const size_t size = std::min(ids.size(), static_cast<size_t>(length));
    sequences.emplace_back(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(size));
    ids = ids.subspan(size);
  }
  return sequences;
}

TokenSequences sample_sequences(CausalLm& model, std::span<const TokenId> prompt, int vocab_size, int count, int length,
                                uint64_t seed) {
  QWEN_CHECK(static_cast<int>(prompt.size()) < length);
  return sample_dialogues(model, {.user = {prompt.begin(), prompt.end()}}, vocab_size, count, length, seed);
}

TokenSequences sample_dialogues(CausalLm& model, const DialogueTokens& dialogue, int vocab_size, int count, int length,
                                uint64_t seed, size_t first, const std::function<void()>& on_token) {
  struct Speaker {
    std::deque<TokenId> opener;  // what is left of it
    bool user = true;
    void begin(bool as_user, const std::vector<TokenId>& with) {
      user = as_user;
      opener.assign(with.begin(), with.end());
    }
  };
  QWEN_CHECK(!dialogue.user.empty());
  std::vector<Speaker> speakers(static_cast<size_t>(count), {{dialogue.user.begin(), dialogue.user.end()}});
  TokenSequences sequences(static_cast<size_t>(count));
  DirectRunner runner(model, count, length);
  const size_t row_size = static_cast<size_t>(runner.vocab_size());
  const size_t drawn_from = std::min(row_size, static_cast<size_t>(vocab_size));
  std::vector<DirectRunner::Chunk> chunks(static_cast<size_t>(count));
  std::span<const float> rows;
  for (int position = 0; position < length; ++position) {
    for (size_t i = 0; i < chunks.size(); ++i) {
      Speaker& speaker = speakers[i];
      if (!speaker.opener.empty()) {
        sequences[i].push_back(speaker.opener.front());
        speaker.opener.pop_front();
      } else {
        const double uniform = uniform_draw(seed_of(seed, first + i), static_cast<uint64_t>(position));
        const TokenId id = draw(rows.subspan(i * row_size, drawn_from), uniform);
        sequences[i].push_back(id);
        if (contains(dialogue.stops, id))
          speaker.begin(true, dialogue.user);
        else if (contains(dialogue.ends, id))
          speaker.begin(!speaker.user, speaker.user ? dialogue.assistant : dialogue.next_user);
      }
      chunks[i] = {static_cast<int>(i), std::span(sequences[i]).last(1), DirectRunner::Logits::kLast};
    }
    if (position + 1 < length) rows = runner.step(chunks);
    if (on_token) on_token();
  }
  return sequences;
}

TokenSequences random_sequences(int64_t vocab_size, int count, int length, uint64_t seed) {
  TokenSequences sequences(static_cast<size_t>(count));
  for (size_t i = 0; i < sequences.size(); ++i) {
    for (int position = 0; position < length; ++position) {
      const double uniform = uniform_draw(seed_of(seed, i), static_cast<uint64_t>(position));
      sequences[i].push_back(static_cast<TokenId>(uniform * static_cast<double>(vocab_size)));
    }
  }
  return sequences;
}

}  // namespace qwen
