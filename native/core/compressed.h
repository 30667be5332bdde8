// What a device has made of one kv head at the end of a prompt (core/device_compress.h), for the host, which keeps the books.
#ifndef ZSLAB_CORE_COMPRESSED_H
#define ZSLAB_CORE_COMPRESSED_H

#include <vector>

#include "core/pages.h"

namespace zs {

struct Compressed {
  std::vector<int32_t> context;  // tokens of the context, in the order of slots
  // Where slots are merged by similarity:
  std::vector<int32_t> seeds;       // tokens that merged slots begin with, ascending
  std::vector<int32_t> targets;     // of each of the rest, ascending: the merged slot that it joined
  std::vector<float> similarities;  // likewise, how much they were alike
  Pages open, merged;               // what the head's segments are to hold; without merged slots no merged pages
};

}  // namespace zs
#endif
