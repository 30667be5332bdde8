#include "cuda/emulation/traffic.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "cuda/emulation/block.h"
#include "cuda/emulation/race.h"

namespace zs::emulation {
namespace {

struct Access {
  int lane;
  uint64_t at;
  size_t bytes;
};
// What the lanes of a warp did at one instruction, all for the same time: those are one request.
using Request = std::tuple<const void*, bool, bool, int, uint32_t>;  // instruction, shared, writes, warp, time
struct Counted {
  uint64_t bytes = 0, parts = 0, ideal = 0;
};

struct Counter {
  std::map<Request, std::vector<Access>> requests;                               // of the blocks that are alive
  std::map<std::tuple<const void*, bool, bool>, std::map<int, uint32_t>> times;  // of each thread at an instruction
  std::map<std::tuple<const void*, bool, bool>, Counted> lines;
};
thread_local Counter counter;

// In order, each once.
void sort_once(std::vector<uint64_t>& numbers) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
}

Counted sectors_of(const std::vector<Access>& accesses) {
  std::vector<uint64_t> halves;  // two bytes
  for (const Access& one : accesses)
    for (uint64_t at = one.at; at < one.at + one.bytes; at += 2) halves.push_back(at);
  sort_once(halves);
  uint64_t sectors = 0, last = ~uint64_t{0};
  for (const uint64_t at : halves) {
    sectors += at / kSector != last;
    last = at / kSector;
  }
  const uint64_t moved = 2 * halves.size();
  return {moved, sectors, (moved + kSector - 1) / kSector};
}

// Wide accesses go in turns: lanes of 16 bytes by eight, of 8 bytes by sixteen, whoever of them came first.
Counted passes_of(std::vector<Access> accesses) {
  Counted all;
  std::sort(accesses.begin(), accesses.end(), [](const Access& a, const Access& b) { return a.lane < b.lane; });
  const size_t lanes = std::max<size_t>(1, kBanks * kBankWord / std::max<size_t>(kBankWord, accesses.front().bytes));
  for (size_t from = 0; from < accesses.size(); from += lanes) {
    std::vector<uint64_t> words;
    for (size_t i = from; i < std::min(from + lanes, accesses.size()); ++i)
      for (uint64_t at = accesses[i].at / kBankWord; at * kBankWord < accesses[i].at + accesses[i].bytes; ++at)
        words.push_back(at);
    sort_once(words);
    uint64_t of_bank[kBanks] = {};
    for (const uint64_t word : words) ++of_bank[word % kBanks];
    all.bytes += kBankWord * words.size();
    all.parts += *std::max_element(of_bank, of_bank + kBanks);
    all.ideal += (words.size() + kBanks - 1) / kBanks;
  }
  return all;
}

}  // namespace

namespace traffic {

__thread bool counting = false;  // no part of the counter, which a thread has to have made first

void add(const void* from, bool shared, bool writes, uint64_t at, size_t bytes) {
  const Thread& now = *thread();
  const int first = 1024 * block()->place;  // threads of blocks that are alive as well
  const uint32_t time = counter.times[{from, shared, writes}][first + now.number]++;
  counter.requests[{from, shared, writes, first / kWarp + now.warp(), time}].push_back({now.lane(), at, bytes});
}

void end_block() {
  if (!counting) return;
  for (const auto& [request, accesses] : counter.requests) {
    const bool shared = std::get<1>(request);
    const Counted of = shared ? passes_of(accesses) : sectors_of(accesses);
    Counted& line = counter.lines[{std::get<0>(request), shared, std::get<2>(request)}];
    line.bytes += of.bytes;
    line.parts += of.parts;
    line.ideal += of.ideal;
  }
  counter.requests.clear();
  counter.times.clear();
}

}  // namespace traffic

void begin_traffic() {
  counter = {};
  traffic::counting = true;
}

std::vector<TrafficLine> end_traffic() {
  // Several instructions of a line are one.
  std::map<std::tuple<std::string, bool, bool>, Counted> lines;
  std::vector<const void*> instructions;
  for (const auto& [key, of] : counter.lines) instructions.push_back(std::get<0>(key));
  const std::vector<std::string> names = race::lines_of(instructions);
  auto name = names.begin();
  for (const auto& [key, of] : counter.lines) {
    Counted& line = lines[{*name++, std::get<1>(key), std::get<2>(key)}];
    line.bytes += of.bytes;
    line.parts += of.parts;
    line.ideal += of.ideal;
  }
  counter = {};
  traffic::counting = false;
  std::vector<TrafficLine> found;
  for (const auto& [key, of] : lines)
    found.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), of.bytes, of.parts, of.ideal});
  std::sort(found.begin(), found.end(), [](const TrafficLine& a, const TrafficLine& b) { return a.parts > b.parts; });
  return found;
}

}  // namespace zs::emulation
