// A page's twin on a device: the same keys and values there. Whoever needs a page where it is not brings it over; whoever writes one side
// lets go of the other.
#ifndef ZSLAB_CORE_TWIN_H
#define ZSLAB_CORE_TWIN_H

#include <cstdint>
#include <memory>

namespace zs {

struct Page;

// Keys in whole tiles of kLane slots, whatever the page's last tile is like.
struct Twin {
  char *keys = nullptr, *values = nullptr;  // addresses on the device
  virtual ~Twin() = default;
  virtual void read(Page& page) const = 0;  // what it holds, into a page of as many slots
  // One of at least as many slots, with the same content and zeros behind it. Throws std::bad_alloc or an Error.
  virtual std::shared_ptr<Twin> copy(int32_t capacity) const = 0;
};

}  // namespace zs
#endif
