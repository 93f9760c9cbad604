// Read bandwidth with this instruction set's loads; one forward stream.

static uint64_t probe_read(const void* data, size_t bytes) {
  const char* const p = static_cast<const char*>(data);
  constexpr size_t kStep = 256, kAhead = 2048;
  F32 sums[kStep / (kLanes * sizeof(float))];
  for (F32& sum : sums) sum = zero();
  for (size_t at = 0; at + kStep <= bytes; at += kStep) {
    for (size_t line = 0; line < kStep; line += kCacheLine) __builtin_prefetch(p + at + kAhead + line);
    int i = 0;
    for (F32& sum : sums) sum = bitwise_xor(sum, load(reinterpret_cast<const float*>(p + at) + kLanes * i++));
  }
  F32 all = zero();
  for (const F32 sum : sums) all = bitwise_xor(all, sum);
  alignas(64) float lanes[kLanes];
  store(lanes, all);
  uint32_t bits = 0;
  for (const float lane : lanes) {
    uint32_t word;
    __builtin_memcpy(&word, &lane, sizeof word);
    bits ^= word;
  }
  return bits;
}
