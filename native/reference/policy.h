// What a policy is to the reference, and the list of those there are (policies.inc: a file and a line each).
#ifndef ZSLAB_REFERENCE_POLICY_H
#define ZSLAB_REFERENCE_POLICY_H

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "reference/cache.h"

namespace reference {

// A model's key and value projections: k = keys x + key_biases, before rotation. [layers], of each [kv_heads * head_dim][width]; biases
// [kv_heads * head_dim], or none.
struct Projections {
  int width = 0;
  std::vector<std::vector<float>> keys, values, key_biases, value_biases;
};

// A policy as it is asked for; fields by the names that users know. A budget below 1 is a share of the prompt.
struct Asked {
  std::string name;
  double budget = 0;
  std::map<std::string, double> fields;
  std::shared_ptr<const Asked> of;  // what a wrapper works on
  Shape shape;  // of the cache, and what a policy that works on the model's projections is told of them
  Projections projections;

  double number(const char* field) const { return fields.at(field); }
  int whole(const char* field) const { return static_cast<int>(fields.at(field)); }
  bool on(const char* field) const { return fields.at(field) != 0; }
};

// What the rows of one call gave, by query head of the kv head and row: probabilities of the slots there were and of the call's tokens up
// to the row's own, and what float32 may be off by in them.
struct Seen {
  std::vector<std::vector<std::vector<double>>> prob, error;
  int64_t rows() const { return static_cast<int64_t>(prob[0].size()); }
};

enum class Acts { kNever, kPrompt, kAlways };
enum class Together { kHead, kLayer, kModel };

class Policy {
 public:
  virtual ~Policy() = default;
  virtual double budget() const { return 0; }
  // Throws std::invalid_argument where the numbers do not fit.
  virtual Resolved resolve(double budget, int64_t tokens) const = 0;
  virtual Acts acts() const { return Acts::kAlways; }
  virtual Together together() const { return Together::kHead; }
  // Keys are kept before rotation and stand at places(head): of every slot, then of the next token.
  virtual bool rotates() const { return false; }
  virtual std::vector<int64_t> places(const Head&) const { return {}; }
  virtual int64_t stride() const { return 0; }  // tokens of a prompt read at a time; 0 = all
  virtual double alpha() const { return 0; }    // logit += alpha ln weight
  // What is stored of a token, instead of its key and value.
  virtual void take(At, std::vector<double>& /*key*/, std::vector<double>& /*value*/) const {}
  // Choices go by scores; else by position. step 0 = the prompt.
  virtual bool scored(int64_t step) const = 0;
  // Scores after a call's attention: slots there were, then the call's tokens (prompt: the latter alone).
  virtual void score(At at, const Resolved& sizes, const Seen& seen, std::vector<Slot*>& slots, bool prompt) const = 0;
  // Which of `slots`, the newest token's own the last, that token reads by query head `head` of the group; tokens of a policy that selects
  // are read one at a time.
  virtual bool selects() const { return false; }
  virtual std::vector<bool> reads(At, const Resolved& /*sizes*/, int /*head*/,
                                  const std::vector<const float*>& /*queries*/,
                                  const std::vector<const Slot*>& slots) const {
    return std::vector<bool>(slots.size(), true);
  }
  // The heads of a layer have read their prompt; may change their sizes.
  virtual void allocate(Cache&, int /*layer*/) const {}
  // The slots of each head of `group`, which choose together, are more tokens than the budget, in order of position. step > 0: the last
  // has just arrived.
  virtual void compress(Cache&, const std::vector<At>& /*group*/, int64_t /*step*/) const {}
  // A cache that fills up is compressed like a prompt; else it starts and goes on with evict.
  virtual bool compress_underfull() const { return true; }
  virtual void start(Head&) const {}
  // A kv head's prompt has been read and chosen from; `queries`, as prefill is given them.
  virtual void settled(Cache&, At, const std::vector<float>& /*queries*/, int64_t /*tokens*/) const {}
  // After every layer but the first, once the newest `fresh` tokens of its heads have entered; the layer below has them, too. step 0 = the
  // prompt.
  virtual bool crosses() const { return false; }
  virtual void across(Cache&, int /*layer*/, int64_t /*step*/, int64_t /*fresh*/) const {}
  // Somebody leaves each head of `group`, the same slot: its number; it stays there, to be overwritten.
  virtual int make_room(Cache&, const std::vector<At>& /*group*/, int64_t /*step*/) const { return -1; }
  // The last slot is new in a head that has been compressed and is not full.
  virtual void fill(Cache&, At, int64_t /*step*/) const {}
  // The last slot of each head is one too many.
  virtual void evict(Cache&, const std::vector<At>& /*group*/, int64_t /*step*/) const {}
};

// Throws std::invalid_argument where no policy has that name.
std::unique_ptr<Policy> make(const Asked& asked);

inline int64_t share_or_count(double value, int64_t of) {
  return value < 1 ? static_cast<int64_t>(value * static_cast<double>(of)) : static_cast<int64_t>(value);
}

}  // namespace reference
#endif
