// One kv head's queries after the prompt over all that it was ever given, kLane rows at a time, beside what the policy's slots made of it
// (zs_cache_local). One unit of work; memory of its own.
#ifndef ZSLAB_CORE_LOCAL_HEAD_H
#define ZSLAB_CORE_LOCAL_HEAD_H

#include "core/cache.h"
#include "core/error.h"
#include "core/local_losses.h"
#include "core/merged_means.h"
#include "core/occupants.h"

namespace zs {

// A head's events, rows of the tape in order, and of those that lose a token their numbers among all losses.
struct HeadEvents {
  std::vector<int64_t> rows;
  std::vector<int32_t> losses;
};
inline bool loses(const zs_events& events, int64_t row) {
  return events.action[row] == ZS_MERGE || events.action[row] == ZS_DROP;
}

class LocalHead : Occupants::Watcher {
 public:
  LocalHead(const zs_cache& cache, const zs_local& l, int32_t layer, int32_t kv_head, const HeadEvents& events,
            const zs_call* call);
  void run();

 private:
  // What a row may find of a token: as it came, in a merged slot, gone; and, of those in merged slots, what one began with.
  enum Kind { kOwn, kIn, kLost, kSeed, kKinds };
  struct Block {
    int64_t first;
    int rows;
    uint32_t all;  // a bit for each
  };

  void becomes(int32_t position, Fate fate) override;
  void joins(int32_t position, int32_t first) override;
  void ends(int32_t first) override;

  const float* given(int64_t token, int64_t head) const;  // after the prompt; queries, keys, values, outputs
  const float* query(int64_t row) const { return given(l_.positions[row] - prompt_, kv_head_ * int64_t{group_}); }
  const Pages& prompt_pages() const {
    return cache_.layers[static_cast<size_t>(layer_)].heads[static_cast<size_t>(kv_head_)].open().pages;
  }
  int64_t place(int32_t position) const { return position < prompt_ ? position : given_from_ + position - prompt_; }
  // A chunk's keys as tiles and values as rows, in float32: as held, or until the next is asked for.
  const float* keys(int64_t chunk) { return widened_keys(chunk, key_scratch_.data()); }
  const float* values(int64_t chunk) { return widened_values(chunk, value_scratch_.data()); }
  int32_t tokens_in(int64_t chunk) const { return chunks_[static_cast<size_t>(chunk)].slots; }
  bool stopped() const { return aborted(call_); }
  // Of arrays of lanes, a row's number being their last index: floats of `count` for each query head.
  int64_t lanes(int64_t count) const { return count * group_ * kLane; }
  float* e(int64_t place) { return e_.data() + lanes(place); }
  float* out(int kind) { return outs_.data() + lanes(kind * padded_); }
  double* total(int kind) { return totals_.data() + lanes(kind); }

  void hold();
  const float* widened_keys(int64_t chunk, float* into) const;
  const float* widened_values(int64_t chunk, float* into) const;
  void set(Kind kind, int64_t place, bool is);
  void see(const Block& block);
  void merged_slots(int64_t row, int in_block);
  void attend(const Block& block);
  void attend_chunk(int64_t chunk);
  void weigh_chunk(int64_t chunk);
  void put_together();
  void measure(const Block& block);
  void count_losses(const Block& block);
  void count_chunk(const Block& block, int64_t chunk, size_t from);
  double without(int64_t place, int32_t head, int row);

  const zs_cache& cache_;
  const zs_local& l_;
  const AttentionKernels& kernels_;
  const HeadEvents& events_;
  const zs_call* call_;
  const int32_t layer_, kv_head_, d_, group_;
  const int64_t padded_, prompt_, given_from_;  // given_from_: place of the first token after the prompt
  int64_t tokens_ = 0, after_ = 0, places_ = 0;
  std::vector<const float*> calls_;  // of each token after the prompt: where its call begins,
  std::vector<int64_t> at_, of_;     // which of its tokens it is, and of how many
  Pages own_;                        // keys and values after the prompt
  std::vector<KeyChunk> chunks_;
  std::vector<const float*> held_keys_, held_values_;  // of the first chunks, widened once
  Buffer widened_;

  Occupants occupants_;
  MergedMeans means_;
  LocalLosses losses_;
  size_t event_ = 0;
  int row_ = 0;                         // of the block: that is about to read
  std::vector<uint16_t> rows_[kKinds];  // by place: the block's rows that find the token so, a bit each

  // Of a block, lanes: queries and outputs [group][d], the latter's squared lengths [group]; e [places][group]; the highest logit up to each
  // chunk, and what makes its e probabilities [chunks][group]; values and sums by e [kKinds][group][padded], [kKinds][group].
  Buffer queries_, star_, lengths_, e_, top_, highest_, factors_, outs_;
  std::vector<double> totals_;
  Buffer squares_;  // of values, by place
  struct Merged {
    double highest, sum;  // of merged slots' logits; of exp(logit - highest)
  };
  std::vector<Merged> merged_;         // [kLane][group]
  std::vector<double> merged_values_;  // the sums of values, [kLane][group][d]
  std::vector<LocalLosses::Entry> entries_;
  // Of a chunk.
  Buffer key_scratch_, value_scratch_, products_, few_;
  const float* from_[kChunk + kBeside] = {};
};

}  // namespace zs
#endif
