// Events that lie in files: a cache that keeps few in memory tells what one tells that keeps all, through forks, tokens taken back and files
// that cannot be written; what somebody holds stays as it was; and nothing is left in the folder.
#include "zslab/tape.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "test/caches.h"

namespace {

using test::Cache;
using test::check;
using test::Config;
using test::Random;
using test::Source;

constexpr int64_t kUnit = ZS_TAPE_UNIT, kRow = 50;

struct Folder {
  char path[64] = "/tmp/zslab-tape-test-XXXXXX";
  Folder() {
    if (!mkdtemp(path)) throw std::runtime_error("no temporary folder");
  }
  ~Folder() { rmdir(path); }
  int entries() const {
    int count = -2;  // itself and the one above
    DIR* const open = opendir(path);
    while (readdir(open)) ++count;
    closedir(open);
    return count;
  }
};

using Told = std::vector<std::vector<char>>;  // columns

Told told(const zs_events& e) {
  Told all;
  const auto add = [&](const auto* column) {
    const char* const bytes = reinterpret_cast<const char*>(column);
    all.emplace_back(bytes, bytes + static_cast<size_t>(e.count) * sizeof *column);
  };
  if (e.count == 0) return all;
  add(e.step), add(e.layer), add(e.kv_head), add(e.action), add(e.reason), add(e.position), add(e.slot), add(e.target);
  add(e.rank), add(e.score), add(e.threshold), add(e.similarity), add(e.target_score), add(e.weight);
  add(e.target_weight);
  return all;
}

zs_tape_bytes bytes_of(const Cache& cache) {
  zs_tape_bytes bytes{};
  test::must(zs_cache_tape_bytes(cache.handle, &bytes), "bytes");
  return bytes;
}

Config config_of(Random& r, bool merges) {
  Config c;
  c.seed = static_cast<uint64_t>(r.upto(1, 1 << 30));
  // Many heads of few tokens: as many events as few heads of many have, for a fraction of the attention.
  c.cache.layers = 3, c.cache.heads = c.cache.kv_heads = 1024, c.cache.head_dim = 2, c.cache.origins = 0;
  c.cache.policy = merges ? test::Options{} : test::full_policy();
  if (merges)
    c.cache.policy.budget = 32, c.cache.policy.recent = 8, c.cache.policy.residual = 4;
  else
    c.cache.policy.history = 0;
  c.calls = {75};
  return c;
}

void feed(Cache& cache, std::vector<Source>& sources, int tokens, bool prompt) {
  for (int layer = 0; layer < cache.config.layers; ++layer) {
    const test::Inputs in = sources[static_cast<size_t>(layer)].next(tokens);
    prompt ? cache.prefill(layer, in, tokens) : cache.extend(layer, in, tokens);
  }
}

// Two caches, fed alike; the first has its older events in files.
struct Pair {
  Cache few, all;
  std::vector<Source> sources, again;
  bool same() const { return told(few.events()) == told(all.events()); }
  void step(int count) {
    for (int i = 0; i < count; ++i) feed(few, sources, 1, false), feed(all, again, 1, false);
  }
  Pair fork() const { return {few.fork(), all.fork(), sources, again}; }
  // Given other tokens from now on than it would have been.
  void turn() {
    for (auto* some : {&sources, &again})
      for (Source& source : *some) source.next(1);
  }
};

Pair pair_of(const test::Engine& engine, const Config& c, const char* folder, int64_t bytes) {
  std::vector<Source> sources;
  for (int layer = 0; layer < c.cache.layers; ++layer) sources.emplace_back(c, layer);
  Pair pair{Cache(engine, c.cache), Cache(engine, c.cache), sources, sources};
  test::must(zs_cache_spill(pair.few.handle, bytes, folder), "spill");
  feed(pair.few, pair.sources, c.calls[0], true), feed(pair.all, pair.again, c.calls[0], true);
  return pair;
}

void spills(const test::Engine& engine, Random& r, bool merges) {
  const Folder folder;
  const int64_t bound = r.upto(0, 1) * 3 * kUnit * kRow;
  Pair pair = pair_of(engine, config_of(r, merges), folder.path, bound);
  pair.step(5);
  const zs_tape_bytes few = bytes_of(pair.few), all = bytes_of(pair.all);
  check(pair.same() && few.files > 0 && few.files % (kUnit * kRow) == 0 && all.files == 0,
        "%lld bytes in files, or not what happened", static_cast<long long>(few.files));
  check(few.events == pair.all.events().count && few.memory + few.files == few.events * kRow &&
            all.memory == few.events * kRow,
        "bytes: %lld + %lld of %lld events", static_cast<long long>(few.memory), static_cast<long long>(few.files),
        static_cast<long long>(few.events));
  check(folder.entries() == 0, "%d files have a name", folder.entries());

  zs_events e{};
  zs_held_events* hold = nullptr;
  test::must(zs_cache_hold_events(pair.few.handle, &e, &hold), "hold");
  const Told before = told(e);
  {
    Pair other = pair.fork();
    other.turn();
    other.step(22), pair.step(22);  // both spill on
    check(other.same() && pair.same(), "a fork and its source do not tell what happened to each");
    if (!merges)
      for (const int back : {1, 10, 50}) {
        for (Cache* cache : {&other.few, &other.all}) test::must(zs_cache_rollback(cache->handle, back), "rollback");
        check(other.same(), "%d tokens were taken back, and events are others", back);
        // Otherwise than before, in one call, and more than a unit.
        feed(other.few, other.sources, 25, false), feed(other.all, other.again, 25, false);
        check(other.same(), "events after %d tokens were taken back are others", back);
        // Files may still have what was taken back: who copies them must not see it.
        Pair again = other.fork();
        other.step(1), again.step(1);
        check(other.same() && again.same(), "a fork after %d tokens were taken back has others' events", back);
      }
    check(pair.same(), "what a fork does is seen in its source");
    Pair third = pair.fork();
    // What a reader does to his arrays is not in the files of others.
    const zs_events own = pair.few.events();
    int32_t& first = const_cast<int32_t&>(own.position[0]);
    first += 1;
    pair.step(1), third.step(1);
    const bool unread = third.same();
    first -= 1;
    check(unread && pair.same(), "a fork sees what a reader wrote over rows in files");
  }
  check(told(e) == before, "events that are held changed");
  zs_cache_destroy(pair.few.handle);
  pair.few.handle = nullptr;
  check(told(e) == before, "events that are held went with the cache");
  zs_held_events_release(hold);
  check(folder.entries() == 0, "something is left in the folder");
}

// The prompt under another policy has a tape of its own, which goes to the same folder.
void under_another(const test::Engine& engine, Random& r) {
  const Folder folder;
  const Config c = config_of(r, false);
  const Pair pair = pair_of(engine, c, folder.path, 0);
  test::CacheConfig other = c.cache;
  other.policy = test::count_policy(32, 8, 0);
  other.policy.history = 0;
  const auto policy = other.policy.native();
  const auto under = [&](const Cache& cache) {
    zs_cache* made = nullptr;
    test::must(zs_cache_fork_policies(cache.handle, &policy->policy, nullptr, 1, 1, &made, nullptr), "fork_policies");
    return Cache(made, other);
  };
  Pair forks{under(pair.few), under(pair.all), pair.sources, pair.again};
  forks.step(3);
  check(forks.same() && bytes_of(forks.few).files > 0 && bytes_of(forks.all).files == 0,
        "under another policy: %lld bytes in files", static_cast<long long>(bytes_of(forks.few).files));
  rmdir(folder.path);
  zs_cache* made = nullptr;
  const zs_status status = zs_cache_fork_policies(pair.few.handle, &policy->policy, nullptr, 1, 1, &made, nullptr);
  check(status == ZS_IO && std::string(zs_last_error()).find(folder.path) != std::string::npos,
        "under another policy it goes elsewhere: %d %s", status, zs_last_error());
}

// A call that cannot write leaves everything as it was; the next one that can goes on.
void unwritten(const test::Engine& engine, Random& r) {
  const Folder folder;
  Pair pair = pair_of(engine, config_of(r, false), folder.path, 0);
  const auto fails = [&](const char* why) {
    const int64_t count = pair.few.events().count;
    int steps = 0;
    for (; steps < 50; ++steps) {
      const std::vector<Source> kept = pair.sources;
      std::vector<float> out;
      if (pair.few.try_extend(0, pair.sources[0].next(1), 1, out) != ZS_OK) {
        pair.sources = kept;
        break;
      }
      for (int layer = 1; layer < 3; ++layer)
        pair.few.extend(layer, pair.sources[static_cast<size_t>(layer)].next(1), 1);
      feed(pair.all, pair.again, 1, false);
    }
    const std::string said = zs_last_error();
    check(steps < 50 && said.find(folder.path) != std::string::npos && said.find("make room") != std::string::npos,
          "%s: after %d steps: %s", why, steps, said.c_str());
    check(pair.same() && pair.few.events().count >= count, "%s: events are not as they were", why);
  };
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, SIG_IGN);
  // As a full disk: some columns can be written, and others not to their ends.
  const rlimit small{static_cast<rlim_t>(bytes_of(pair.few).files / kRow * 3), limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  fails("a file that may grow no more");
  setrlimit(RLIMIT_FSIZE, &limit);
  pair.step(7);
  check(pair.same(), "it does not go on where it can again");
  // A fork's files are its own: it needs the folder, which is gone.
  Pair other = pair.fork();
  pair.step(25);
  rmdir(folder.path);
  std::vector<float> out;
  zs_status status = ZS_OK;
  for (int i = 0; i < 50 && status == ZS_OK; ++i)
    for (int layer = 0; layer < 3 && status == ZS_OK; ++layer)
      status = other.few.try_extend(layer, other.sources[static_cast<size_t>(layer)].next(1), 1, out);
  check(status == ZS_IO && std::string(zs_last_error()).find("No such file") != std::string::npos,
        "without a folder: %d %s", status, zs_last_error());
}

}  // namespace

int main() {
  try {
    const test::Engine engine(2);
    for (int i = 0; i < test::cases(6, 4, 2); ++i) {
      Random r(static_cast<uint64_t>(i) + 1);
      spills(engine, r, i % 2 == 1);
    }
    Random r(99);
    unwritten(engine, r);
    under_another(engine, r);
    Cache cache(engine, test::CacheConfig{});
    check(zs_cache_spill(nullptr, 0, "/tmp") == ZS_INVALID && zs_cache_spill(cache.handle, -1, "/tmp") == ZS_INVALID &&
              zs_cache_spill(cache.handle, 0, nullptr) == ZS_INVALID,
          "spill takes what makes no sense");
    zs_tape_bytes bytes{};
    check(
        zs_cache_tape_bytes(nullptr, &bytes) == ZS_INVALID && zs_cache_tape_bytes(cache.handle, nullptr) == ZS_INVALID,
        "bytes of nothing");
    zs_events e{};
    zs_held_events* hold = nullptr;
    check(zs_cache_hold_events(nullptr, &e, &hold) == ZS_INVALID &&
              zs_cache_hold_events(cache.handle, nullptr, &hold) == ZS_INVALID,
          "events of nothing are held");
    check(zs_cache_hold_events(cache.handle, &e, &hold) == ZS_OK && e.count == 0, "an empty tape cannot be held");
    zs_held_events_release(hold);
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return test::finish("tape");
}
