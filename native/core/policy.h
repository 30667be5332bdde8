// What a policy is to the core: a name, the fields of its parameters, and a table of hooks; a row per line of policies/policies.inc.
// Hooks of heads run on any thread and see nothing of other heads. All are optional; a wrapper that lacks one has that of the policy
// it works on.
#ifndef ZSLAB_CORE_POLICY_H
#define ZSLAB_CORE_POLICY_H

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "core/buffer.h"
#include "core/compressed.h"
#include "core/found.h"
#include "core/head.h"
#include "core/kernels.h"
#include "core/tape.h"
#include "zslab/zslab.h"

namespace zs {

struct DeviceRule;  // core/device_rule.h
struct PolicyHooks;

// A zs_policy, checked and owned.
struct Policy {
  const PolicyHooks* hooks = nullptr;
  int32_t chunk = 1;
  double budget = 0;
  std::vector<double> block;  // the parameters, aligned
  std::shared_ptr<const Policy> of;

  template <class T>
  const T& own() const {
    return *reinterpret_cast<const T*>(block.data());
  }
};

// What a policy wants to be told: offered by the core once, paid for by who asks. Nothing asked for, nothing computed.
struct Needs {
  zs_acts acts = ZS_ACTS_NEVER;  // ZS_ACTS_READING where the hook `select` is there and nobody ever leaves
  // When slots that stay lose some of what they held: never, once the prompt has been read, or always.
  zs_acts alters = ZS_ACTS_NEVER;
  zs_granularity granularity = ZS_PER_HEAD;
  // Scores: column sums of the probabilities of the prompt's last `rows` rows, summed over the query heads of a kv head, older rows
  // faded: s <- decay s + p.
  bool scores = false;
  bool upkeep = true;     // of every later token too; else of the prompt alone
  bool may_fail = false;  // hooks call somebody else's code: steps are made on copies
  bool by_query =
      false;  // the prompt's sums of each query head by itself (HeadWork::sums), for the hook `score` to make scores of
  float decay = 1;
  int32_t rows = 0;
  // Of the prompt's last so many rows the hook `settled` sees the queries (HeadWork::queries).
  int32_t queries = 0;
  // Keys are kept before rotation and turned as they are read: see the hook `positions`. Else they are kept as they come, rotated at their
  // token's own position.
  bool rotates = false;
  // Tokens of a prompt that are read at a time: each stride attends what is left of those before, and enters token by token, before the
  // next comes. 0: the whole prompt attends itself, then the policy compresses.
  int32_t stride = 0;
};

// A model's key and value projections in one layer: k = key x, before rotation and before a bias is added.
struct Projections {
  int32_t layer, layers, kv_heads, head_dim, width;
  const float *key, *value;            // [kv_heads][head_dim][width]
  const float *key_bias, *value_bias;  // [kv_heads][head_dim]; nullptr = none
  const volatile int32_t* abort;       // where it is set, what is made is thrown away
  // f(unit) for units [0, count), on all threads; throws what f throws.
  std::function<void(int64_t count, const std::function<void(int64_t unit)>& f)> each;
};

// What a policy keeps of a layer's projections: made once, then shared by a cache, its forks and all caches of one model and policy.
struct LayerConstants {
  virtual ~LayerConstants() = default;
  virtual int64_t bytes() const = 0;
};
using Constants = std::vector<std::shared_ptr<LayerConstants>>;  // by layer

// Memory of one thread for one head's work.
struct Upkeep {
  Buffer key, value;    // [d]
  Buffer similarities;  // one per merged slot, whole tiles
  Buffer selecting;     // where a policy selects: one per slot and one more
};

// Slots that the newest token reads in one head, where it does not read all: numbers as of Head, ascending, each once; with none, the token
// reads itself. Lists have room for every slot, so filling them never allocates.
struct Selection {
  int32_t count = 1;  // lists in use: one that all query heads of the kv head read, or one for each of them
  std::vector<std::vector<int32_t>> lists;
};

// One head, and what is decided about it.
struct HeadWork {
  Head* head;
  const Policy* policy;
  const AttentionKernels* kernels;
  Upkeep* scratch;
  int32_t layer, layers, kv_head, group;  // layer of `layers`
  int64_t step;                           // 0 = the prompt
  bool arrival;  // the newest token has just come to a head that holds the others; else they are a whole prompt
  bool scored;   // scores mean something; else choices go by position
  const float*
      choice;  // of each slot of the open segment: what choices go by; its own scores, or the sum of several heads'
  const float* sums;  // by_query: [group][sums_stride]; nullptr after the prompt
  int64_t sums_stride;
  std::vector<Event>* events;  // nullptr = no trace
  int32_t fresh = 1;           // settled, across: tokens that came, the newest of the head
  // settled: of query head h and the r-th of the prompt's last query_rows rows, as attended, at queries + (h * query_rows + r) * d; nullptr
  // after the prompt.
  const float* queries = nullptr;
  int64_t query_rows = 0;
  std::vector<int32_t> leaving = {};          // what the hook `choose` said: slots of the open segment, ascending
  const LayerConstants* constants = nullptr;  // what the hook `weights` made of the layer
  const Found* found =
      nullptr;  // what a device has chosen and done: the hooks keep the books of it, and touch no key and no value
  Compressed* compressed = nullptr;  // the same of a prompt: compress takes its pages

  const zs_resolved& sizes() const { return head->sizes; }
  template <class T>
  const T& own() const {
    return policy->own<T>();
  }
  // Counts the event, and writes it down where a trace is kept (its place must be reserved where failing is not allowed). Inlined, and its
  // members handed on one by one: an event in memory, just written in small pieces, would have to be waited for.
  __attribute__((always_inline)) void note(const Event& event) const {
    Counters& counters = head->counters;
    counters.admitted += event.action == ZS_ADMIT;
    counters.left += event.action == ZS_LEAVE;
    counters.merged += event.action == ZS_MERGE;
    counters.dropped += event.action == ZS_DROP;
    counters.returned += event.action == ZS_UNEVICT;
    if (told())
      write(event.action, event.reason, event.position, event.slot, event.target, event.rank, event.score,
            event.threshold, event.similarity, event.target_score, event.weight, event.target_weight);
  }
  bool told() const { return kTape && events; }
  void write(uint8_t action, uint8_t reason, int32_t position, int32_t slot, int32_t target, int32_t rank, float score,
             float threshold, float similarity, float target_score, float weight, float target_weight) const;
  void note_admit(int32_t position, int32_t slot, float score) const {
    note({ZS_ADMIT, came(), position, slot, -1, score});
  }
  // A token went from slot to slot by `action` (place, settle); nothing where it is where it was.
  void note_move(zs_action action, int32_t position, int32_t slot, int32_t target) const {
    if (slot != target) note({static_cast<uint8_t>(action), came(), position, slot, target});
  }
  uint8_t came() const { return step == 0 ? ZS_BY_PROMPT : ZS_BY_TOKEN; }
};

// The candidates of a prompt in one head, for wrappers that share slots out: tokens [from, to) of the open segment compete by
// `choice` for `places` slots; a head can do with `least`.
struct Contest {
  int32_t from, to, places, least;
};

// One of the arrays that a policy keeps of a head: row-major, the last dim the fastest.
struct Inspected {
  const char* name;  // in camel case, as JavaScript knows it
  std::vector<int32_t> shape;
  std::vector<float> data;
};

struct PolicyHooks {
  const char* name;
  const zs_field* fields;
  int32_t field_count, parameter_bytes;
  // Throws a sentence about parameters that make no sense. Without: there is nothing to check.
  void (*check)(const Policy&);
  // For a prompt of `tokens`. Without: nothing is needed, and no token ever leaves.
  Needs (*needs)(const Policy&, int64_t tokens);
  // Slots of a head by region: `budget` as zs_policy.budget, shares against `tokens`. Throws a sentence. Without: unbounded.
  zs_resolved (*resolve)(const Policy&, double budget, int64_t tokens);
  // Before the first prompt, layer by layer: adds what it keeps of the layer's projections to `made`, and with the last may finish them all.
  // Without: HeadWork::constants is nullptr, and nobody needs to know projections.
  void (*weights)(const Policy&, const Projections&, Constants& made);
  // Tokens of a head before they are stored, to be changed in place: keys (before rotation under Needs::rotates) and values [count][d]. What
  // is stored is what everybody attends, they themselves too. From any thread; never throws. Without: stored as they come.
  void (*take)(HeadWork&, float* keys, float* values, int64_t count);
  // Gives tokens [from, to) of the open segment their scores. Without: those that `needs` asks for, or zeros.
  void (*score)(HeadWork&, int32_t from, int32_t to);
  // The heads of one layer have the scores of their prompt; may change their sizes. Without: every head has what `resolve` gave it.
  void (*allocate)(HeadWork* heads, int32_t count);
  // Heads of a layer that hold more than they may say together who leaves (HeadWork::leaving), once per layer and step, before compress or
  // evict. Without: each head decides there.
  void (*choose)(HeadWork* heads, int32_t count);
  // What competes in a head, for a wrapper's `allocate`. Without: no wrapper can share this policy's slots out.
  Contest (*contest)(const HeadWork&);
  // The prompt of a head has been read and scored, and all of it is there still: what the policy keeps beside the slots (Head::index) can be
  // made. May throw. Without: nothing is kept.
  void (*prompt_read)(HeadWork&);
  // The newest token stands in its head and has not been attended yet; the index has room for it. Never throws. Without: the index, if there
  // is one, knows nothing of tokens after the prompt.
  void (*arrive)(HeadWork&);
  // Which slots the newest token reads: q holds its query of each query head of the group, the h-th at q + h * q_stride. False: all. Several
  // tokens at once are then read one after another. Never throws. Without: all.
  bool (*select)(HeadWork&, const float* q, int64_t q_stride, Selection& out);
  // The newest tokens were taken back, the head is without them and the index is the head's own. Never throws. Without: the index, if there is
  // one, stays.
  void (*rollback)(HeadWork&);
  // Needs::rotates: where each slot of the head stands, in [slots in use]; returns where the next token will, and those that come with it stand
  // behind it. All are within the cache: below the slots in use. Never throws. Without: every token stands at its own position.
  int32_t (*positions)(HeadWork&, int32_t* slots);
  // The first compression: the open segment, which is all there is, holds more tokens than the budget in order of position: a prompt, or
  // (arrival) the last one has just come to a full cache. Without: every token stays.
  void (*compress)(HeadWork&);
  // A cache that fills up without ever having been compressed is compressed (true), or goes on with evict (false). Without: true.
  bool (*compress_underfull)(const Policy&);
  // Before the first evict of a cache that never was compressed. May throw std::bad_alloc. Without: nothing.
  void (*start)(HeadWork&);
  // The last token of the open segment is one too many: somebody leaves. Never throws. Without: the policy acts on prompts alone.
  void (*evict)(HeadWork&);
  // The logit of a slot that stands for w tokens is raised by this times ln w. Without: there are no such slots.
  float (*alpha)(const Policy&);
  // Somebody leaves the open segment: its slot, which is free to be written and still counts. The first half of evict; `fill` is there too.
  int32_t (*make_room)(HeadWork&);
  // The newest token stands at the end of a head that has acted and holds less than it may, since tokens were asked to leave: it goes where
  // the policy wants it. Never throws.
  void (*fill)(HeadWork&);
  // What the policy itself keeps of a head that has its prompt, for people to look at. May throw std::bad_alloc. Without: there is nothing.
  void (*inspect)(const Policy&, const Head&, std::vector<Inspected>& out);
  // What came has had its attention and been chosen from: a prompt (step 0), whole or a stride of it, or the newest token. Slots of the open
  // segment may be moved to segments of single tokens before it. Throws for a prompt alone: for a token there is room in all of them
  // (Head::reserve_moves), and all is the head's own. Without: tokens stay in the open segment.
  void (*settled)(HeadWork&);
  // After `settled`, in every layer but the first: the same for a kv head and that of the layer below, once for all `fresh` tokens that came.
  // Both may hold one format, which is then written here alone. Layers have to come in order. Without: layers know nothing of each other.
  void (*across)(HeadWork& below, HeadWork& here);
  // How a device does by itself what evict does; false, or without: it cannot. A wrapper answers for what it works on.
  bool (*device)(const Policy&, DeviceRule&);
  bool wraps;  // works on another policy
  bool
      single;  // slots of the open segment are tokens that stay, leave and come back one by one (zs_cache_evict and its like)
  // Fields of parameters that may change while a cache lives: what came of the old ones stays as it is. Without: none.
  std::vector<const char*> changeable;
};

// The hook of a policy, or of what it wraps; nullptr = none has it. As in hook(policy, &PolicyHooks::evict).
template <class F>
F hook(const Policy& policy, F PolicyHooks::* which, const Policy** owner = nullptr) {
  for (const Policy* at = &policy; at; at = at->of.get())
    if (at->hooks->*which) {
      if (owner) *owner = at;
      return at->hooks->*which;
    }
  return nullptr;
}

// Field tables of parameter blocks.
template <class T>
constexpr int32_t type_of() {
  using U = std::remove_cv_t<T>;
  static_assert(
      std::is_same_v<U, int32_t> || std::is_same_v<U, int64_t> || std::is_same_v<U, float> || std::is_same_v<U, double>,
      "a field type that JavaScript cannot fill");
  return std::is_same_v<U, int32_t>   ? ZS_INT32
         : std::is_same_v<U, int64_t> ? ZS_INT64
         : std::is_same_v<U, float>   ? ZS_FLOAT32
                                      : ZS_FLOAT64;
}
#define ZS_FIELD(STRUCT, MEMBER, NAME) {NAME, zs::type_of<decltype(STRUCT::MEMBER)>(), offsetof(STRUCT, MEMBER)}
template <class T, int N>
void describe(PolicyHooks& hooks, const char* name, const zs_field (&fields)[N]) {
  hooks.name = name;
  hooks.fields = fields;
  hooks.field_count = N;
  hooks.parameter_bytes = sizeof(T);
}

// A policy header's last line: puts its hooks on the list (policies/policies.inc).
template <int>
struct Listed;
#define ZS_POLICY(NAMESPACE)                                  \
  template <>                                                 \
  struct Listed<__COUNTER__> {                                \
    static PolicyHooks hooks() { return NAMESPACE::hooks(); } \
  };

// The policy as ours; throws the sentence about what is wrong with it.
std::shared_ptr<const Policy> checked_policy(const zs_policy* policy);

inline Needs needs_of(const Policy& policy, int64_t tokens) {
  const Policy* owner = &policy;
  const auto needs = hook(policy, &PolicyHooks::needs, &owner);
  return needs ? needs(*owner, tokens) : Needs{};
}
zs_resolved resolved_of(const Policy& policy, double budget, int64_t tokens);

// Checks for parameters; `name` in camel case, as users know it.
void in_range(const char* name, int64_t value, int64_t least, int64_t most);
void is_share_or_count(const char* name, double value, bool zero);

}  // namespace zs
#endif
