#include "core/local_head.h"

#include <algorithm>

#include "core/error.h"

namespace zs {
namespace {

// Of a head's widened keys and values this much is held, by each thread: a core's share of the caches. More would come from memory, where two
// bytes an element are less to read than four, so that the rest is widened each time.
constexpr int64_t kHeldBytes = 4 << 20;

int64_t after_prompt(const zs_local& l) {
  int64_t tokens = 0;
  for (int64_t c = 0; c < l.calls; ++c) tokens += l.tokens[c];
  return tokens;
}

}  // namespace

LocalHead::LocalHead(const zs_cache& cache, const zs_local& l, int32_t layer, int32_t kv_head, const HeadEvents& events,
                     const zs_call* call)
    : cache_(cache),
      l_(l),
      kernels_(*cache.engine->attention),
      events_(events),
      call_(call),
      layer_(layer),
      kv_head_(kv_head),
      d_(cache.config.head_dim),
      group_(cache.group()),
      padded_(round_up(d_, kLane)),
      prompt_(l.prompt),
      given_from_(round_up(l.prompt, kChunk)),
      tokens_(l.prompt + after_prompt(l)),
      after_(tokens_ - l.prompt),
      places_(given_from_ + round_up(after_, kChunk)),
      own_(cache.geometry()),
      occupants_(tokens_, *this),
      means_(tokens_, d_, l.keys_fixed, l.values_fixed),
      losses_(places_) {
  for (int64_t c = 0; c < l.calls; ++c)
    for (int64_t t = 0; t < l.tokens[c]; ++t)
      calls_.push_back(l.given[c]), at_.push_back(t), of_.push_back(l.tokens[c]);
  for (int64_t s = 0; s < l.seeds; ++s)
    if (const int32_t* const seed = l.seeded + 4 * s; seed[0] == layer && seed[1] == kv_head)
      means_.seed(seed[2], seed[3]);
  for (auto& rows : rows_) rows.assign(static_cast<size_t>(places_), 0);
  const int64_t chunks = places_ / kChunk;
  queries_ = Buffer(lanes(d_)), star_ = Buffer(lanes(d_)), lengths_ = Buffer(lanes(1));
  e_ = Buffer(lanes(places_)), top_ = Buffer(lanes(1));
  highest_ = Buffer(lanes(chunks)), factors_ = Buffer(lanes(chunks));
  outs_ = Buffer(lanes(kKinds * padded_)), totals_.resize(static_cast<size_t>(lanes(kKinds)));
  squares_ = Buffer(places_);
  merged_.resize(static_cast<size_t>(lanes(1))), merged_values_.resize(static_cast<size_t>(lanes(d_)));
  key_scratch_ = Buffer(kChunk * d_), value_scratch_ = Buffer(kChunk * padded_);
  products_ = Buffer(lanes(kChunk + kBeside)), few_ = Buffer(group_ * (kChunk + 2 + padded_) + 2 * d_);
}

const float* LocalHead::given(int64_t token, int64_t head) const {
  const size_t t = static_cast<size_t>(token);
  const int64_t heads = 2 * (cache_.config.heads + int64_t{cache_.config.kv_heads});
  return calls_[t] + ((layer_ * of_[t] + at_[t]) * heads + head) * d_;
}

const float* LocalHead::widened_keys(int64_t c, float* into) const {
  if (static_cast<size_t>(c) < held_keys_.size()) return held_keys_[static_cast<size_t>(c)];
  const KeyChunk& chunk = chunks_[static_cast<size_t>(c)];
  return kernels_.float_keys(chunk, d_, static_cast<int32_t>(round_up(chunk.slots, kLane) / kLane), into);
}

const float* LocalHead::widened_values(int64_t c, float* into) const {
  if (static_cast<size_t>(c) < held_values_.size()) return held_values_[static_cast<size_t>(c)];
  const KeyChunk& chunk = chunks_[static_cast<size_t>(c)];
  return kernels_.float_values(chunk, padded_, chunk.slots, into);
}

// Everything that the head was given: the prompt's as it lies, the rest rounded as a cache keeps it.
void LocalHead::hold() {
  const int64_t heads = cache_.config.heads, kv_heads = cache_.config.kv_heads;
  own_.reserve(static_cast<int32_t>(after_));
  own_.resize(static_cast<int32_t>(after_));
  for (int64_t t = 0; t < after_; ++t)
    own_.write(static_cast<int32_t>(t), given(t, heads + kv_head_), given(t, heads + kv_heads + kv_head_));
  const auto add = [&](const Pages& pages, int64_t tokens) {
    for (int64_t from = 0; from < tokens; from += kChunk) {
      KeyChunk chunk = pages.chunk(static_cast<int32_t>(from / kChunk), nullptr);
      chunk.slots = static_cast<int32_t>(std::min<int64_t>(kChunk, tokens - from));
      chunks_.push_back(chunk);
    }
  };
  add(prompt_pages(), prompt_);
  add(own_, after_);
  const int64_t chunks = static_cast<int64_t>(chunks_.size()), each = kChunk * (d_ + padded_);
  const int64_t held = std::min<int64_t>(chunks, kHeldBytes / (each * int64_t{sizeof(float)}));
  widened_ = Buffer(cache_.config.storage == ZS_F32 ? 0 : held * each);
  for (int64_t c = 0; c < chunks; ++c) {
    float* const room = widened_.size() ? widened_.data() + c * each : nullptr;
    if (c < held) {
      held_keys_.push_back(widened_keys(c, room));
      held_values_.push_back(widened_values(c, room ? room + kChunk * d_ : nullptr));
    }
    kernels_.squares(values(c), padded_, tokens_in(c), squares_.data() + c * kChunk);
  }
}

void LocalHead::run() {
  if (l_.rows) hold();
  for (int64_t first = 0; first < l_.rows && !stopped(); first += kLane) {
    const int rows = static_cast<int>(std::min<int64_t>(kLane, l_.rows - first));
    const Block block{first, rows, (1u << rows) - 1u};
    see(block);
    attend(block);
    if (stopped()) return;
    measure(block);
    count_losses(block);
  }
  losses_.write(events_.losses, l_);
}

// ---- what the policy's slots hold

// From the row on that is about to read.
void LocalHead::set(Kind kind, int64_t place, bool is) {
  uint16_t& rows = rows_[kind][static_cast<size_t>(place)];
  const uint32_t since = 0xffffu << row_;
  rows = static_cast<uint16_t>(is ? rows | since : rows & ~since);
}

void LocalHead::becomes(int32_t position, Fate fate) {
  const int64_t at = place(position);
  if (fate == Fate::kAlone && rows_[kLost][static_cast<size_t>(at)] >> (kLane - 1)) losses_.end(at, row_);
  set(kOwn, at, fate == Fate::kAlone);
  set(kIn, at, fate == Fate::kMerged);
  set(kLost, at, fate == Fate::kGone);
}

void LocalHead::joins(int32_t position, int32_t first) {
  if (position == first) set(kSeed, place(means_.seed_of(first)), true);
  const bool prompt = position < prompt_;
  const Pages& pages = prompt ? prompt_pages() : own_;
  float *const key = few_.data(), *const value = key + d_;
  pages.read(static_cast<int32_t>(prompt ? position : position - prompt_), key, value);
  means_.add(position, first, key, value);
}

void LocalHead::ends(int32_t first) {
  set(kSeed, place(means_.seed_of(first)), false);
  means_.end(first);
}

// Row by row what happened up to its call, and the call's own tokens.
void LocalHead::see(const Block& block) {
  for (auto& rows : rows_)
    for (uint16_t& one : rows) one = one >> (kLane - 1) ? 0xffffu : 0;
  losses_.next_block();
  for (row_ = 0; row_ < block.rows; ++row_) {
    const int64_t row = block.first + row_, until = l_.firsts[row] - prompt_;
    for (; event_ < events_.rows.size() && l_.events->step[events_.rows[event_]] <= until; ++event_) {
      const int64_t event = events_.rows[event_];
      occupants_.apply(*l_.events, event);
      if (loses(*l_.events, event)) losses_.begin(place(l_.events->position[event]), row_);
    }
    for (int32_t position = l_.firsts[row]; position <= l_.positions[row]; ++position) occupants_.arrive(position);
    merged_slots(row, row_);
  }
}

}  // namespace zs
