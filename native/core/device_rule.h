// What a policy tells a device (core/device.h) of itself.
#ifndef ZSLAB_CORE_DEVICE_RULE_H
#define ZSLAB_CORE_DEVICE_RULE_H

#include <cstdint>

#include "core/head.h"

namespace zs {

// How a policy's compress and evict are done on a device. What a policy that never evicts says of evict is not looked at.
struct DeviceRule {
  bool compresses = false;                                       // as regions::compress; else the CPU does it
  bool by_similarity = false;                                    // merged slots begin so, not as runs of tokens
  Range (*candidates)(const Head&) = nullptr;                    // slots of the open segment of which one leaves
  Range (*ring)(const Head&) = nullptr;                          // of the head, over which Head::ring goes round
  int32_t similarity = ZS_DOT;                                   // zs_similarity
  int32_t score_merge = 0, aggregate = 0, keys = 0, values = 0;  // as ZSMerge's parameters of these names
  float alpha = 0;
  bool operator==(const DeviceRule& o) const {
    return compresses == o.compresses && by_similarity == o.by_similarity && candidates == o.candidates &&
           ring == o.ring && similarity == o.similarity && score_merge == o.score_merge && aggregate == o.aggregate &&
           keys == o.keys && values == o.values && alpha == o.alpha;
  }
};

}  // namespace zs
#endif
