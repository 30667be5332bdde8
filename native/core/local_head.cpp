#include "core/local_head.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"

namespace zs {
namespace {

constexpr int64_t kQueries = 48;  // of a block: a chunk is read once for so many

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
      block_rows_(std::max<int64_t>(1, std::min<int64_t>(l.rows, kQueries / group_))),
      own_(cache.geometry()),
      keys_(places_ * d_),
      values_(places_ * padded_),
      occupants_(tokens_, *this),
      means_(tokens_, d_, l.keys_fixed, l.values_fixed),
      fates_(static_cast<size_t>(places_), Fate::kUnseen),
      seeds_(static_cast<size_t>(places_)),
      losses_(l, kernels_, places_, group_) {
  for (int64_t c = 0; c < l.calls; ++c)
    for (int64_t t = 0; t < l.tokens[c]; ++t)
      calls_.push_back(l.given[c]), at_.push_back(t), of_.push_back(l.tokens[c]);
  for (int64_t s = 0; s < l.seeds; ++s)
    if (const int32_t* const seed = l.seeded + 4 * s; seed[0] == layer && seed[1] == kv_head)
      means_.seed(seed[2], seed[3]);
  const int64_t queries = block_rows_ * group_, chunks = places_ / kChunk;
  dirty_.assign(static_cast<size_t>(chunks), 1);
  version_.assign(static_cast<size_t>(chunks), -1);
  read_.resize(static_cast<size_t>(block_rows_ * chunks));
  lost_.resize(static_cast<size_t>(block_rows_));
  merged_.resize(static_cast<size_t>(queries));
  e_ = Buffer(queries * places_);
  sums_ = Buffer(queries * chunks);
  for (Buffer* one : {&highest_, &inverse_, &alone_sum_, &seeded_sum_, &blurred_, &missed_}) *one = Buffer(queries);
  for (Buffer* one : {&star_, &alone_, &seeded_}) *one = Buffer(queries * padded_);
  tiles_ = Buffer(kChunk * d_), lengths_ = Buffer(kChunk), scratch_ = Buffer(kChunk * d_);
  p_ = Buffer(block_rows_ * places_), change_ = Buffer(block_rows_ * places_);
  few_ = Buffer(group_ * (kChunk + 2 + padded_)), one_ = Buffer(padded_);
}

const float* LocalHead::given(int64_t token, int64_t head) const {
  const size_t t = static_cast<size_t>(token);
  const int64_t heads = 2 * (cache_.config.heads + int64_t{cache_.config.kv_heads});
  return calls_[t] + ((layer_ * of_[t] + at_[t]) * heads + head) * d_;
}

// Everything that the head was given: the prompt's as it lies, the rest rounded as a cache keeps it.
void LocalHead::hold() {
  const Segment& open = cache_.layers[static_cast<size_t>(layer_)].heads[static_cast<size_t>(kv_head_)].open();
  const int64_t heads = cache_.config.heads, kv_heads = cache_.config.kv_heads;
  const auto add = [&](const Pages& pages, int64_t tokens) {
    for (int64_t from = 0; from < tokens; from += kChunk) {
      chunks_.push_back(pages.chunk(static_cast<int32_t>(from / kChunk), nullptr));
      chunks_.back().slots = static_cast<int32_t>(std::min<int64_t>(kChunk, tokens - from));
    }
  };
  own_.reserve(static_cast<int32_t>(after_));
  own_.resize(static_cast<int32_t>(after_));
  for (int64_t t = 0; t < after_; ++t)
    own_.write(static_cast<int32_t>(t), given(t, heads + kv_head_), given(t, heads + kv_heads + kv_head_));
  add(open.pages, prompt_);
  add(own_, after_);
  for (size_t c = 0; c < chunks_.size(); ++c) {
    const int64_t from = static_cast<int64_t>(c) * kChunk;
    float* const values = values_.data() + from * padded_;
    kernels_.unpack(chunks_[c], d_, keys_.data() + from * d_, values);
    std::fill(values + chunks_[c].slots * padded_, values + kChunk * padded_, 0.0f);
  }
}

void LocalHead::run() {
  for (const int32_t loss : events_.losses)
    if (loss >= 0) losses_.none(loss);
  if (l_.rows == 0) return;
  hold();
  for (int64_t first = 0; first < l_.rows && !stopped(); first += block_rows_) {
    const int64_t rows = std::min(block_rows_, l_.rows - first);
    const Block block{first, rows, rows * group_};
    read_by_policy(block);
    attend(block);
    weigh(block);
    if (stopped()) return;
    measure(block);
    count_losses(block);
  }
  losses_.finish();
}

// ---- what the policy's slots hold

void LocalHead::becomes(int32_t position, Fate fate) {
  const int64_t at = place(position);
  Fate& now = fates_[static_cast<size_t>(at)];
  if (now == Fate::kGone && fate == Fate::kAlone) lost_[row_].emplace_back(at, -1);
  now = fate;
  dirty_[static_cast<size_t>(at / kChunk)] = 1;
}

void LocalHead::joins(int32_t position, int32_t first) {
  const int64_t at = place(position);
  if (position == first) seeds_[static_cast<size_t>(place(means_.seed_of(first)))] = 1;
  means_.add(position, first, keys_.data() + at * d_, values_.data() + at * padded_);
}

void LocalHead::ends(int32_t first) {
  seeds_[static_cast<size_t>(place(means_.seed_of(first)))] = 0;
  means_.end(first);
}

void LocalHead::remake(int64_t chunk) {
  Version made{};
  for (int32_t slot = 0; slot < tokens_in(chunk); ++slot) {
    const size_t at = static_cast<size_t>(chunk * kChunk + slot);
    const Fate fate = fates_[at];
    if (fate == Fate::kAlone) made.alone.push_back(slot);
    if (fate == Fate::kMerged && seeds_[at]) made.seeds.push_back(slot);
    made.merged[slot] = fate == Fate::kMerged;
    made.gone[slot] = fate == Fate::kGone;
  }
  dirty_[static_cast<size_t>(chunk)] = 0;
  version_[static_cast<size_t>(chunk)] = static_cast<int32_t>(versions_.size());
  versions_.push_back(std::move(made));
}

// What happened up to the row's call, and the call's own tokens.
void LocalHead::see(int64_t row, int64_t in_block) {
  row_ = static_cast<size_t>(in_block);
  auto& lost = lost_[row_];
  lost.clear();
  const int64_t until = l_.firsts[row] - prompt_;
  for (; event_ < events_.rows.size() && l_.events->step[events_.rows[event_]] <= until; ++event_) {
    const int64_t event = events_.rows[event_];
    occupants_.apply(*l_.events, event);
    if (const int32_t loss = events_.losses[event_]; loss >= 0)
      lost.emplace_back(place(l_.events->position[event]), loss);
  }
  for (int32_t position = l_.firsts[row]; position <= l_.positions[row]; ++position) occupants_.arrive(position);
}

void LocalHead::read_by_policy(const Block& block) {
  std::vector<Version> kept;
  for (int32_t& version : version_) {
    if (version < 0) continue;
    kept.push_back(std::move(versions_[static_cast<size_t>(version)]));
    version = static_cast<int32_t>(kept.size()) - 1;
  }
  versions_ = std::move(kept);
  const int64_t chunks = static_cast<int64_t>(chunks_.size());
  for (int64_t r = 0; r < block.rows; ++r) {
    see(block.first + r, r);
    for (int64_t c = 0; c < chunks; ++c) {
      if (dirty_[static_cast<size_t>(c)]) remake(c);
      read_[static_cast<size_t>(r * chunks + c)] = version_[static_cast<size_t>(c)];
    }
    merged_slots(block.first + r, r * group_);
  }
}

}  // namespace zs
