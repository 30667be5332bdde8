// Caches in double precision, written from the equations: one kv head, one row, one token at a time, nothing shared and nothing
// clever. They judge the engine, so they use nothing of the engine's. Every value that decides something carries a bound of the error
// that float32 arithmetic may make in it; a decision whose best candidates lie closer than that is a question that a Guide may answer
// (the engine's choice), and the reference goes on from the answer. What a policy does is its own file's: policy.h.
#ifndef ZSLAB_REFERENCE_CACHE_H
#define ZSLAB_REFERENCE_CACHE_H

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <vector>

namespace reference {

constexpr double kUnit = 5.9604644775390625e-8;  // 2^-24: half a unit in the last place of float32
constexpr double kTiny = 1e-36;                  // float32 exponentials end about here

enum class Storage { kFloat32, kFloat16, kBfloat16 };

struct Shape {
  int layers = 1, heads = 1, kv_heads = 1, head_dim = 2;
};

// Pair i of a row at position p is turned by p times frequency i: dims 2i and 2i + 1, or (halves) i and i + frequencies.size().
struct Rotation {
  std::vector<double> frequencies;
  bool halves = false;
  void turn(std::vector<double>& row, int64_t position) const;
};

// Slots of a kv head by region; budget 0 = unbounded. window: rows of the prompt that count. read: slots that a token reads, 0 = all.
struct Resolved {
  int64_t budget = 0, recent = 0, residual = 0, sink = 0, context = 0, window = 0, read = 0;
};

// float32 as it is after a stay in `storage` (round to nearest, ties to even).
double stored(float value, Storage storage);

struct Slot {
  std::vector<double> key, value;
  double weight = 1, score = 0;
  double score_error = 0, key_error = 0;  // what float32 may be off by: the score, any element of the key
  std::vector<int> origins;               // own positions first, then those merged in
  bool before_open = false;               // in a segment before the open one
  std::vector<int> made_of;               // not empty: slots with the same list have the same score in any arithmetic
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

struct At {
  int layer, kv_head;
};

// A choice among candidates. kKeep: which token takes the context slot `slot` next (descending score). kSeed: which token of the rest
// seeds a residual slot. kVictim: which slot leaves. kTarget: which residual slot takes in the token at `position`. kMember: whose key
// and value residual slot `slot` has. kPlaces: how many context slots a head gets. kShare: asked where float32 cannot tell a mean's
// weights; the answer says nothing. Candidates are slots for kVictim and kTarget, counts for kPlaces, else positions.
enum class Choice { kKeep, kSeed, kVictim, kTarget, kMember, kPlaces, kShare };

struct Question {
  Choice choice;
  int64_t step;
  At at;                                  // of heads that choose together the first
  int64_t slot;                           // kKeep: the slot to be filled; kSeed, kMember: the residual slot; else -1
  int position;                           // kTarget: the first origin of what is merged; else -1
  int best;                               // what double precision says, ties to the first
  double margin;                          // between best and runner-up; infinity with one candidate
  double bound;                           // what float32 may be off by in that difference
  const std::vector<int>& near;           // every candidate within rounding of the best, the best included
  const std::vector<const Slot*>& whose;  // kMember: the slots of `near`
};
using Guide = std::function<int(const Question&)>;  // returns one of `near`; anything else throws std::runtime_error

struct Candidate {
  int id;
  double value, error;
  const Slot* slot = nullptr;
};

// One kv head's cache.
struct Head {
  std::vector<Slot> slots;  // residual, sink, context, recent once compressed; before, in order of position
  Resolved sizes;
  bool compressed = false;
  int64_t ring = -1;     // slot that the next leaver comes from
  double dropped = 0;    // weight that left for good
  int64_t missing = 0;   // recent slots that wait for new tokens, since theirs were asked to leave
  std::set<int> pinned;  // positions that never leave unasked
  int64_t read = 0;      // slots that the newest token read, of its query heads the most; 0 = all
};

class Policy;

class Cache {
 public:
  // budgets [layers][kv_heads] instead of the policy's; empty = none.
  Cache(Shape shape, std::unique_ptr<Policy> policy, Storage storage = Storage::kFloat32,
        std::vector<double> budgets = {});
  Cache(Cache&&) noexcept;
  ~Cache();

  // q [heads][tokens][head_dim], k, v [kv_heads][tokens][head_dim]; returns outputs like q. share_of 0 = tokens.
  std::vector<double> prefill(int layer, const std::vector<float>& q, const std::vector<float>& k,
                              const std::vector<float>& v, int64_t tokens, int64_t share_of = 0);
  // One chunk on a living cache; one token is a decode step.
  std::vector<double> extend(int layer, const std::vector<float>& q, const std::vector<float>& k,
                             const std::vector<float>& v, int64_t tokens);

  // The token at `position`, which has a slot of its own there, leaves at once; or never unasked.
  void evict(At at, int position);
  void pin(At at, int position) { head(at).pinned.insert(position); }
  // A dropped token is a slot again in each of `group`, which choose together; key and value as the shape's [head_dim] floats, by head.
  void unevict(const std::vector<At>& group, int position, const std::vector<std::vector<float>>& keys,
               const std::vector<std::vector<float>>& values);

  // From now on by the same policy with other parameters; sizes stay.
  void change(std::unique_ptr<Policy> policy);

  const Policy& policy() const { return *policy_; }
  const Shape& shape() const { return shape_; }
  Storage storage() const { return storage_; }
  const Head& head(int layer, int kv_head) const {
    return heads_[static_cast<size_t>(layer * shape_.kv_heads + kv_head)];
  }
  const std::vector<Event>& events() const { return events_; }
  int64_t seq_len(int layer) const { return seq_len_[static_cast<size_t>(layer)]; }
  // True while this layer's tokens wait for the last layer's.
  bool waits(int layer) const;

  Guide guide;        // empty = double precision decides
  Rotation rotation;  // for policies that keep keys before it

  // ---- for policies
  Head& head(At at) { return heads_[static_cast<size_t>(at.layer * shape_.kv_heads + at.kv_head)]; }
  // The candidate of the largest value, of equals the first.
  int decide(Choice choice, int64_t step, At at, int64_t slot, int position, const std::vector<Candidate>& candidates);
  // One of `near`, where what double precision says is `best`.
  int ask(Choice choice, int64_t step, At at, int64_t slot, int best, const std::vector<int>& near);
  void note(int64_t step, At at, Action action, const Slot& about, int64_t slot, int64_t target = -1,
            double similarity = kNone, double target_weight = 0);
  // Relative error of one float32 dot product over head_dim, summed in 16 lanes.
  double rounding() const { return kUnit * (shape_.head_dim / 16.0 + 6); }

 private:
  static const double kNone;
  std::vector<Slot> make(const std::vector<float>& k, const std::vector<float>& v, At at, int64_t tokens,
                         int64_t position) const;
  void attend(const std::vector<const Slot*>& slots, const std::vector<bool>& reads, const std::vector<double>& query,
              double* out, std::vector<double>& prob, std::vector<double>& error) const;
  // One call's tokens, or one of them.
  void extend_once(int layer, const std::vector<float>& q, const std::vector<float>& k, const std::vector<float>& v,
                   int64_t tokens, int64_t first, std::vector<double>& out);
  // Attention and scores of one call in one kv head.
  void read(At at, const std::vector<float>& q, std::vector<Slot>& fresh, std::vector<double>& out);
  std::vector<std::vector<At>> groups(int layer) const;
  void enter(const std::vector<At>& group, int64_t step);
  std::vector<float> rows_of(const std::vector<float>& all, int64_t tokens, int64_t from, int64_t count) const;
  // A call's tokens on what is held; the first of them is step `first`, and so are all where the prompt is read in strides.
  std::vector<double> chunk(int layer, const std::vector<float>& q, const std::vector<float>& k,
                            const std::vector<float>& v, int64_t tokens, int64_t first);

  Shape shape_;
  std::unique_ptr<Policy> policy_;
  Storage storage_;
  std::vector<double> budgets_;
  std::vector<Head> heads_;
  std::vector<std::vector<Slot>> waiting_;  // by head: tokens read and not yet entered
  std::vector<int64_t> seq_len_, steps_;
  std::vector<Event> events_;
};

}  // namespace reference
#endif
