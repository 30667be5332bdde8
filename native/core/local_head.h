// One kv head's queries after the prompt over all that it was ever given, in blocks of rows, beside what the policy's slots made of it
// (zs_cache_local). One unit of work; memory of its own.
#ifndef ZSLAB_CORE_LOCAL_HEAD_H
#define ZSLAB_CORE_LOCAL_HEAD_H

#include "core/cache.h"
#include "core/error.h"
#include "core/local_losses.h"
#include "core/merged_means.h"
#include "core/occupants.h"

namespace zs {

// A head's events, rows of the tape in order, and of each that loses a token its number among all losses (-1: none).
struct HeadEvents {
  std::vector<int64_t> rows;
  std::vector<int32_t> losses;
};

class LocalHead : Occupants::Watcher {
 public:
  LocalHead(const zs_cache& cache, const zs_local& l, int32_t layer, int32_t kv_head, const HeadEvents& events,
            const zs_call* call);
  void run();

 private:
  // Slots of a chunk as one row or several read them.
  struct Version {
    std::vector<int32_t> alone, seeds;
    float merged[kChunk], gone[kChunk];
  };
  struct Block {
    int64_t first, rows, queries;  // rows and query heads of them
  };

  void becomes(int32_t position, Fate fate) override;
  void joins(int32_t position, int32_t first) override;
  void ends(int32_t first) override;

  const float* given(int64_t token, int64_t head) const;  // after the prompt; queries, keys, values, outputs
  int64_t place(int32_t position) const { return position < prompt_ ? position : given_from_ + position - prompt_; }
  int64_t tokens_in(int64_t chunk) const { return chunks_[static_cast<size_t>(chunk)].slots; }
  float* star(int64_t query) { return star_.data() + query * padded_; }
  float* e(int64_t query, int64_t chunk) { return e_.data() + query * places_ + chunk * kChunk; }

  void hold();
  bool stopped() const { return aborted(call_); }
  void read_by_policy(const Block& block);
  void see(int64_t row, int64_t in_block);
  void remake(int64_t chunk);
  void merged_slots(int64_t row, int64_t query);
  void attend(const Block& block);
  void weigh(const Block& block);
  void measure(const Block& block);
  void count_losses(const Block& block);
  double without(int64_t query, int64_t place);
  const float* query(int64_t row, int64_t head) const {
    return given(l_.positions[row] - prompt_, kv_head_ * int64_t{group_} + head);
  }

  const zs_cache& cache_;
  const zs_local& l_;
  const AttentionKernels& kernels_;
  const HeadEvents& events_;
  const zs_call* call_;
  const int32_t layer_, kv_head_, d_, group_;
  const int64_t padded_, prompt_, given_from_;  // given_from_: place of the first token after the prompt
  int64_t tokens_ = 0, after_ = 0, places_ = 0, block_rows_ = 0;
  std::vector<const float*> calls_;  // of each token after the prompt: where its call begins,
  std::vector<int64_t> at_, of_;     // which of its tokens it is, and of how many
  Pages own_;                        // keys and values after the prompt
  std::vector<KeyChunk> chunks_;
  Buffer keys_, values_;  // all of them as rows [places][d], [places][padded]

  Occupants occupants_;
  MergedMeans means_;
  size_t event_ = 0;
  std::vector<Fate> fates_;       // by place
  std::vector<uint8_t> seeds_;    // by place: it is what a merged slot began with
  std::vector<uint8_t> dirty_;    // by chunk
  std::vector<int32_t> version_;  // by chunk: as it is now

  // Of a block: [queries], [queries][padded], [rows][chunks] …
  std::vector<Version> versions_;
  std::vector<int32_t> read_;
  std::vector<std::vector<std::pair<int64_t, int32_t>>> lost_;  // of each row: place, loss (-1: it is back)
  size_t row_ = 0;
  Buffer e_, highest_, sums_, inverse_, star_, alone_, seeded_, alone_sum_, seeded_sum_, blurred_, missed_;
  struct Merged {
    double highest, sum;         // of merged slots' logits; of exp(logit - highest),
    std::vector<double> values;  // times values
  };
  std::vector<Merged> merged_;  // of each query
  Buffer tiles_, lengths_, p_, change_, scratch_, few_, one_;
  LocalLosses losses_;
};

}  // namespace zs
#endif
