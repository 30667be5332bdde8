// How much memory a launch moves, as the race build counts it: of each line of the kernels' source the sectors of device memory or the passes
// over the banks of shared memory that its warps need, beside the fewest that so many bytes can take. Counts, not times.
#ifndef ZSLAB_CUDA_EMULATION_TRAFFIC_H
#define ZSLAB_CUDA_EMULATION_TRAFFIC_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace zs::emulation {

// Device memory is moved in sectors; shared memory gives one word of each bank in a pass.
constexpr uint64_t kSector = 32, kBanks = 32, kBankWord = 4;

struct TrafficLine {
  std::string place;  // file:line
  bool shared, writes;
  uint64_t bytes;  // that its warps asked for, each once a warp
  uint64_t parts;  // sectors or passes
  uint64_t ideal;  // the fewest
};

// Of launches from begin to end; the longest lines first. Only in the race build: else nothing is counted.
void begin_traffic();
std::vector<TrafficLine> end_traffic();

namespace traffic {
extern __thread bool counting;  // asked at every access
// `at`: the place in shared memory, or the address.
void add(const void* from, bool shared, bool writes, uint64_t at, size_t bytes);
void end_block();
}  // namespace traffic

}  // namespace zs::emulation
#endif
