// ZSMerge (arXiv 2503.10714) in double precision, written from the equations: one kv head, one row, one token at a
// time, nothing shared and nothing clever. It judges the engine, so it uses nothing of the engine's. Every value that
// decides something carries a bound of the error that float32 arithmetic may make in it; a decision whose best
// candidates lie closer than that is a question that a Guide may answer (the engine's choice), and the reference goes
// on from the answer.
#ifndef ZSLAB_REFERENCE_ZSMERGE_H
#define ZSLAB_REFERENCE_ZSMERGE_H

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace reference {

enum class Storage { kFloat32, kFloat16, kBfloat16 };
enum class Similarity { kDot, kL2, kCosine };
enum class ScoreMerge { kMax, kSum };
enum class Init { kPosition, kSimilarity };
enum class Underfull { kCompress, kFirstTokens };

struct Shape {
  int layers = 1, heads = 1, kv_heads = 1, head_dim = 2;
};

// A value below 1 is a share (of the first prompt, of budget, of budget - recent), 1 or more a count of slots.
struct Options {
  bool full = false;  // never compresses
  double budget = 0.2, recent = 0.5, residual = 0.02;
  int sink = 0;
  int least_budget = 16, least_recent = 1, least_residual = 1;
  bool raise_counts = false;  // counts are raised to the least recent and residual too (mode reference)
  double alpha = 1, decay = 0.98;
  bool history = true;
  Similarity similarity = Similarity::kDot;
  ScoreMerge score_merge = ScoreMerge::kMax;
  Init init = Init::kPosition;
  Underfull underfull = Underfull::kCompress;
  int window = 0;  // > 0 rows, 0 = smallest W with decay^W < 1e-7, -1 = all
  Storage storage = Storage::kFloat32;
};

struct Resolved {
  int64_t budget = 0, recent = 0, residual = 0, sink = 0, context = 0, window = 0;
};

// Shares against `tokens`. Throws std::invalid_argument where budget > recent + residual + sink does not hold or recent
// is 0.
Resolved resolve(const Options& options, int64_t tokens);

// float32 as it is after a stay in `storage` (round to nearest, ties to even).
double stored(float value, Storage storage);

struct Slot {
  std::vector<double> key, value;
  double weight = 1, score = 0;
  double score_error = 0, key_error = 0;  // what float32 may be off by: the score, any element of the key
  std::vector<int> origins;               // own positions first, then those merged in
};

enum class Action { kAdmit, kLeave, kMerge, kDrop };

struct Event {
  int64_t step;
  int layer, kv_head;
  Action action;
  int position;
  int64_t slot, target;
  double score, similarity, weight, target_weight;
};

// A choice among candidates. kKeep: which token takes the context slot `slot` next (descending score). kSeed: which
// token of the rest seeds a residual slot. kVictim: which slot leaves. kTarget: which residual slot takes in the token
// at `position`. Candidates are positions for kKeep and kSeed, slots for kVictim and kTarget.
enum class Choice { kKeep, kSeed, kVictim, kTarget };

struct Question {
  Choice choice;
  int64_t step;
  int layer, kv_head;
  int64_t slot;                  // kKeep: the slot to be filled; kSeed: how many were chosen before; else -1
  int position;                  // kTarget: the first origin of what is merged; else -1
  int best;                      // what double precision says, ties to the lowest slot (or position)
  double margin;                 // between best and runner-up; infinity with one candidate
  double bound;                  // what float32 may be off by in that difference
  const std::vector<int>& near;  // every candidate within rounding of the best, the best included
};
using Guide = std::function<int(const Question&)>;  // returns one of `near`; anything else throws std::runtime_error

// One kv head's cache.
struct Head {
  std::vector<Slot> slots;  // residual, sink, context, recent once compressed; before, in order of position
  bool compressed = false;
  int64_t ring = -1;   // slot that the next leaver comes from
  double dropped = 0;  // weight that left for good
};

class Cache {
 public:
  Cache(Shape shape, Options options);

  // q [heads][tokens][head_dim], k, v [kv_heads][tokens][head_dim]; returns outputs like q. share_of 0 = tokens.
  std::vector<double> prefill(int layer, const std::vector<float>& q, const std::vector<float>& k,
                              const std::vector<float>& v, int64_t tokens, int64_t share_of = 0);
  // One chunk on a living cache; one token is a decode step.
  std::vector<double> extend(int layer, const std::vector<float>& q, const std::vector<float>& k,
                             const std::vector<float>& v, int64_t tokens);

  const Head& head(int layer, int kv_head) const {
    return heads_[static_cast<size_t>(layer * shape_.kv_heads + kv_head)];
  }
  const Resolved& resolved() const { return resolved_; }
  const std::vector<Event>& events() const { return events_; }
  int64_t seq_len(int layer) const { return seq_len_[static_cast<size_t>(layer)]; }

  Guide guide;  // empty = double precision decides

 private:
  Slot make(const std::vector<float>& k, const std::vector<float>& v, int kv_head, int64_t row, int64_t tokens,
            int64_t position) const;
  void attend(const std::vector<Slot>& old, const std::vector<Slot>& fresh, int64_t row, const float* query,
              double* out, std::vector<double>& prob, std::vector<double>& error) const;
  void enter(int layer, int kv_head, Slot token);
  void compress(int layer, int kv_head, std::vector<Slot> tokens, int64_t step);
  void evict(int layer, int kv_head, Slot token);
  int target_of(int layer, int kv_head, const std::vector<Slot>& residual, const Slot& moved, int64_t step,
                double* similarity);
  void merge(Slot& into, const Slot& moved) const;
  int decide(Choice choice, int64_t step, int layer, int kv_head, int64_t slot, int position,
             const std::vector<int>& ids, const std::vector<double>& values, const std::vector<double>& errors);
  void note(int64_t step, int layer, int kv_head, Action action, const Slot& about, int64_t slot, int64_t target,
            double similarity, double target_weight);
  double similarity(const Slot& a, const Slot& b, double* error) const;
  double rounding() const;

  Shape shape_;
  Options options_;
  Resolved resolved_;
  std::vector<Head> heads_;
  std::vector<int64_t> seq_len_, steps_;
  std::vector<Event> events_;
  bool started_ = false;
};

}  // namespace reference
#endif
