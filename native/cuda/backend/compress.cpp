#include "cuda/backend/compress.h"

#include <algorithm>
#include <numeric>

#include "cuda/backend/mail.h"
#include "cuda/backend/merge_shape.h"
#include "cuda/compress.h"
#include "cuda/select.h"
#include "cuda/tuning.h"

namespace zs::cuda {
namespace {

CompressShape shape_of(const DeviceCompressionShape& shape, const std::vector<DeviceCompression>& heads) {
  CompressShape made{};
  made.storage = shape.storage;
  made.d = shape.d;
  made.by_similarity = shape.rule.by_similarity;
  made.by_age = shape.by_age;
  made.merging = merge_shape(shape.rule);
  for (const DeviceCompression& head : heads) {
    made.slots = std::max(made.slots, head.sizes.budget - head.sizes.residual);
    made.residual = std::max(made.residual, head.sizes.residual);
  }
  return made;
}

// What a head's lists have: who may be chosen, how many are, and how many are left.
struct Counts {
  int32_t last, seeds, taken, rest;
  Counts(const DeviceCompression& head, bool by_similarity)
      : last(head.count - head.sizes.recent),
        seeds(by_similarity ? head.sizes.residual : 0),
        taken(head.sizes.context + seeds),
        rest(last - head.sizes.sink - taken) {}
};

class Compression {
 public:
  Compression(Context& context, const DeviceCompressionShape& shape, const std::vector<DeviceCompression>& heads)
      : context_(context), shape_(shape), heads_(heads), how_(shape_of(shape, heads)), count_(heads.size()) {
    memory_ = context_.pool->take(cut(nullptr));
    cut(as<char>(memory_));
    give();
  }

  void launch() {
    const int32_t count = static_cast<int32_t>(count_);
    if (!shape_.by_age) must(select(choosing_there_, count, context_.stream));
    if (how_.slots) must(keep_tokens(tasks_there_, count, how_, context_.stream));
    if (how_.residual && !how_.by_similarity) must(merge_runs(tasks_there_, count, how_, context_.stream));
    int32_t joining = 0;
    if (how_.residual && how_.by_similarity)
      for (const CompressTask& task : tasks_) joining = std::max(joining, task.rest_count);
    const int32_t step = std::max(kAlikeStages / (how_.residual / kMergingStage + 1), 1);
    for (int32_t begin = 0; begin < joining; begin += step) {
      must(merge_alike(tasks_there_, count, how_, begin, std::min(begin + step, joining), context_.stream));
      must(gpu::wait(context_.stream));
      shape_.between();
    }
  }

  void bring() {
    for (size_t g = 0; g < count_; ++g) {
      const CompressTask& task = tasks_[g];
      Compressed& to = *heads_[g].made;
      get(to.context, task.best, task.context);
      if (!how_.by_similarity || !task.residual) continue;
      get(to.seeds, task.seeds, task.residual);
      get(to.targets, task.targets, task.rest_count);
      get(to.similarities, task.similarities, task.rest_count);
    }
    must(gpu::wait(context_.stream));
  }

 private:
  template <class T>
  void get(std::vector<T>& to, const T* from, int32_t count) {
    to.resize(static_cast<size_t>(count));
    if (count) gpu::download(to.data(), from, to.size() * sizeof(T), context_.stream);
  }
  template <class T>
  void put(const T* device, const T* from, size_t count) {
    if (count) gpu::upload(const_cast<T*>(device), from, count * sizeof(T), context_.stream);
  }

  // Heads that go by one sum of scores have it once.
  bool has_own_choice(size_t g) const { return g == 0 || heads_[g].choice != heads_[0].choice; }

  int64_t cut(char* memory) {
    Cutter cutter(memory);
    tasks_there_ = cutter.take<CompressTask>(static_cast<int64_t>(count_));
    choosing_there_ = cutter.take<SelectTask>(static_cast<int64_t>(count_));
    tasks_.clear(), choosing_.clear();
    for (size_t g = 0; g < count_; ++g) {
      const DeviceCompression& head = heads_[g];
      const Counts counts(head, how_.by_similarity);
      CompressTask task{};
      task.tokens = cutter.take<KeyChunk>(static_cast<int64_t>(head.tokens.size()));
      task.open = cutter.take<KeyChunk>(static_cast<int64_t>(head.open.size()));
      task.merged = cutter.take<KeyChunk>(static_cast<int64_t>(head.merged.size()));
      task.count = head.count;
      task.sink = head.sizes.sink, task.context = head.sizes.context, task.recent = head.sizes.recent;
      task.residual = head.sizes.residual;
      task.rest_count = counts.rest;
      task.scores = cutter.take<float>(head.count);
      int32_t *const best = cutter.take<int32_t>(counts.taken), *const rest = cutter.take<int32_t>(counts.rest);
      task.best = best;
      task.rest = rest;
      task.seeds = best + head.sizes.context;
      task.order = cutter.take<int32_t>(counts.seeds);
      task.weights = cutter.take<float>(counts.seeds);
      task.merged_scores = cutter.take<float>(counts.seeds);
      task.targets = cutter.take<int32_t>(counts.seeds ? counts.rest : 0);
      task.similarities = cutter.take<float>(counts.seeds ? counts.rest : 0);
      tasks_.push_back(task);
      SelectTask one{task.scores, head.sizes.sink, counts.last, counts.taken, best, rest, nullptr};
      if (head.choice != head.scores)
        one.scores = has_own_choice(g) ? cutter.take<float>(head.count) : choosing_[0].scores;
      one.scratch = cutter.take<uint32_t>(shape_.by_age ? 0 : select_scratch(counts.taken));
      choosing_.push_back(one);
    }
    return cutter.bytes();
  }

  void give() {
    for (size_t g = 0; g < count_; ++g) {
      const DeviceCompression& head = heads_[g];
      const CompressTask& task = tasks_[g];
      const size_t tokens = static_cast<size_t>(head.count);
      put(task.tokens, head.tokens.data(), head.tokens.size());
      put(task.open, head.open.data(), head.open.size());
      put(task.merged, head.merged.data(), head.merged.size());
      put(task.scores, head.scores, tokens);
      if (head.choice != head.scores && has_own_choice(g)) put(choosing_[g].scores, head.choice, tokens);
      if (!shape_.by_age) continue;
      const Counts counts(head, how_.by_similarity);  // the newest are kept, the oldest seed
      std::vector<int32_t> best(static_cast<size_t>(counts.taken)), rest(static_cast<size_t>(counts.rest));
      const auto seeds = best.begin() + task.context;
      std::iota(best.begin(), seeds, counts.last - task.context);
      std::iota(seeds, best.end(), task.sink);
      std::iota(rest.begin(), rest.end(), task.sink + counts.seeds);
      put(task.best, best.data(), best.size());
      put(task.rest, rest.data(), rest.size());
      must(gpu::wait(context_.stream));  // these go with this round
    }
    put(tasks_there_, tasks_.data(), count_);
    put(choosing_there_, choosing_.data(), count_);
  }

  Context& context_;
  const DeviceCompressionShape& shape_;
  const std::vector<DeviceCompression>& heads_;
  const CompressShape how_;
  const size_t count_;
  Memory memory_;
  std::vector<CompressTask> tasks_;
  std::vector<SelectTask> choosing_;
  CompressTask* tasks_there_ = nullptr;
  SelectTask* choosing_there_ = nullptr;
};

}  // namespace

void compress_heads(Context& context, const DeviceCompressionShape& shape,
                    const std::vector<DeviceCompression>& heads) {
  context.here();
  Compression compression(context, shape, heads);
  compression.launch();
  compression.bring();
}

}  // namespace zs::cuda
