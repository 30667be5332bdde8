// Who is in which slot of one kv head, from its events alone: every token by itself, in a merged slot or gone. src/trace/rebuild.ts tells
// the same story to whoever looks; this is for loops over all heads.
#ifndef ZSLAB_CORE_OCCUPANTS_H
#define ZSLAB_CORE_OCCUPANTS_H

#include <cstdint>
#include <vector>

#include "zslab/zslab.h"

namespace zs {

enum class Fate : uint8_t { kUnseen, kAlone, kMerged, kGone };

class Occupants {
 public:
  // Told what changes, token by token; slots are known by their first token.
  struct Watcher {
    virtual ~Watcher() = default;
    virtual void becomes(int32_t position, Fate fate) = 0;
    virtual void joins(int32_t position, int32_t first) = 0;  // the slot's first token, too, once another joins it
    virtual void ends(int32_t first) = 0;                     // a merged slot: its members joined another or went
  };

  Occupants(int64_t tokens, Watcher& watcher);
  // Throws a sentence for what no cache can have done.
  void apply(const zs_events& events, int64_t row);
  void arrive(int32_t position);  // without an event yet
  Fate fate(int32_t position) const { return fate_[static_cast<size_t>(position)]; }

 private:
  template <class F>
  void each(int32_t first, F f) const {
    for (int32_t p = first; p >= 0; p = next_[static_cast<size_t>(p)]) f(p);
  }
  void put(int32_t slot, int32_t first);
  void take(int32_t slot, int32_t first);
  void become(int32_t position, Fate fate);
  void merge(int32_t slot, int32_t first, int32_t target);

  Watcher& watcher_;
  std::vector<int32_t> slots_;        // the first token in each; -1 = empty
  std::vector<int32_t> next_, last_;  // of a slot's members in order; last_ by first
  std::vector<uint8_t> held_;         // the token is the first of a slot
  std::vector<Fate> fate_;
};

}  // namespace zs
#endif
