// Many caches at once (zs_model_forward_many): each has the bits that it has alone, whoever goes on beside it; one that fails or is stopped is
// as it was, and the others go on.
#include <cmath>
#include <cstdio>
#include <memory>

#include "test/guests.h"
#include "test/tiny_model.h"

namespace {

using test::Cache;
using test::check;
using test::Engine;
using test::Model;
using test::Random;
using test::TinyModel;

// What a caller's own policy does in a call: keeps the newest, or fails, or stops somebody.
struct Host {
  int64_t fail = 0;
  std::vector<zs_call*> stops;
};
int64_t newest(void* context, const zs_own_view* view, int32_t* leaving) {
  Host& host = *static_cast<Host*>(context);
  for (zs_call* call : host.stops) __atomic_store_n(&call->abort, 1, __ATOMIC_RELAXED);
  if (host.fail) return host.fail;
  for (int32_t g = 0; g < view->kv_heads; ++g)
    for (int32_t i = 0; i < view->excess[g]; ++i) *leaving++ = i;
  return 0;
}
std::unique_ptr<test::NativePolicy> own_policy(Host& host, int budget, int chunk) {
  const test::Fields fields{{"choose", static_cast<double>(reinterpret_cast<intptr_t>(&newest))},
                            {"context", static_cast<double>(reinterpret_cast<intptr_t>(&host))},
                            {"decay", 1},
                            {"history", 1},
                            {"window", -1},
                            {"acts", ZS_ACTS_ALWAYS},
                            {"keys", 0},
                            {"values", 0}};
  return std::make_unique<test::NativePolicy>("own", budget, chunk, fields);
}

// A call on one cache with places for all that it may ask for.
struct Forward {
  std::vector<int32_t> ids, targets;
  std::vector<int64_t> rows;
  std::vector<float> logits, given;
  std::vector<double> logprobs;
  zs_forward asked{};

  Forward(const TinyModel& tiny, Random& r, int tokens, bool prompt) {
    const zs_model_config& c = tiny.config;
    for (int t = 0; t < tokens; ++t) {
      ids.push_back(r.upto(0, c.vocabulary - 1));
      if (t + 1 == tokens || r.one_in(2)) rows.push_back(t);
      targets.push_back(r.one_in(2) ? r.upto(0, c.vocabulary - 1) : -1);
    }
    logits.resize(rows.size() * static_cast<size_t>(c.vocabulary));
    logprobs.resize(ids.size());
    asked.struct_bytes = sizeof asked, asked.ids = ids.data(), asked.tokens = tokens;
    if (!r.one_in(5)) asked.rows = rows.data(), asked.row_count = tokens_of(rows), asked.logits = logits.data();
    if (r.one_in(2)) asked.targets = targets.data(), asked.logprobs = logprobs.data();
    given.resize(static_cast<size_t>(c.layers) * ids.size() * 2 * static_cast<size_t>(c.heads + c.kv_heads) *
                 static_cast<size_t>(c.head_dim));
    if (!prompt && r.one_in(2)) asked.given = given.data();
  }
  Forward(const Forward&) = delete;
  Forward& operator=(const Forward&) = delete;
  static int64_t tokens_of(const std::vector<int64_t>& rows) { return static_cast<int64_t>(rows.size()); }
  bool same(const Forward& other) const {
    return test::same_bits(logits, other.logits) && test::same_bits(logprobs, other.logprobs) &&
           test::same_bits(given, other.given);
  }
};

// A policy of any kind, beside it what a cache of the model needs for it.
test::Config drawn(const TinyModel& tiny, uint64_t seed) {
  const size_t guests = sizeof test::kGuests / sizeof *test::kGuests, which = seed % (guests + 3);
  test::Config c =
      which < guests ? test::guest_config(test::kGuests[which], seed, true) : test::random_config(seed, true);
  const test::Options policy = c.cache.policy;
  const int32_t storage = c.cache.storage;
  c.cache = tiny.cache_config(storage);
  c.cache.policy = policy;
  if (policy.name == "minicache") c.cache.policy.own["start"] = 0;  // of two layers
  c.cache.rotation = test::rotation_of(tiny.config.rope_dims, static_cast<double>(tiny.config.rope_base));
  return c;
}

// Two caches of one story: one that is always alone, one that goes on in company.
struct Member {
  uint64_t seed;
  Random r;
  test::Config config;
  Host host;
  bool mine;
  std::unique_ptr<test::NativePolicy> policy;
  std::unique_ptr<Cache> alone, beside;
  int chunk;

  Member(const Engine& engine, const Model& model, const TinyModel& tiny, uint64_t seed)
      : seed(seed), r(seed * 7 + 1), config(drawn(tiny, seed)), mine(r.one_in(5)) {
    chunk = mine ? 40 : config.cache.policy.chunk;
    if (mine) policy = own_policy(host, r.upto(4, 20), chunk);
    alone = cache(engine), beside = cache(engine);
    const Random before = r;
    read(model, tiny, *alone);
    r = before;
    read(model, tiny, *beside);
    if (r.one_in(3)) beside = std::make_unique<Cache>(alone->fork());  // pages are shared
  }
  void read(const Model& model, const TinyModel& tiny, const Cache& cache) {
    Forward prompt(tiny, r, config.calls[0], true);
    prompt.asked.share_of = config.share_of;
    test::must(zs_model_forward(model.handle, cache.handle, &prompt.asked, nullptr), config.text().c_str());
  }
  std::unique_ptr<Cache> cache(const Engine& engine) const {
    if (policy) return std::make_unique<Cache>(engine, config.cache, *policy);
    return std::make_unique<Cache>(engine, config.cache);
  }
  bool same_state() const {
    bool same = alone->events().count == beside->events().count;
    for (int layer = 0; layer < config.cache.layers; ++layer)
      same = same && test::same_bits(alone->state(layer), beside->state(layer));
    const zs_receipt a = alone->receipt(), b = beside->receipt();
    return same && !std::memcmp(&a, &b, sizeof a);
  }
  std::vector<test::State> states() const {
    std::vector<test::State> all;
    for (int layer = 0; layer < config.cache.layers; ++layer) all.push_back(beside->state(layer));
    return all;
  }
};

bool same(const std::vector<test::State>& a, const std::vector<test::State>& b) {
  bool all = a.size() == b.size();
  for (size_t i = 0; all && i < a.size(); ++i) all = test::same_bits(a[i], b[i]);
  return all;
}

int64_t ended_otherwise[4];  // of each of:
enum class Ends { kWell, kFailing, kStoppedBefore, kStoppedOnTheWay };

struct Turn {
  Member* of;
  std::unique_ptr<Forward> alone, beside;
  Ends ends = Ends::kWell;
  zs_call call{};
  std::vector<test::State> before{};
};

void one_round(const Model& model, const TinyModel& tiny, Random& r, std::vector<Turn>& turns) {
  std::vector<zs_batched> all(turns.size());
  for (size_t i = 0; i < turns.size(); ++i) {
    Turn& turn = turns[i];
    const int most = turn.of->chunk, tokens = r.one_in(4) ? std::min(most, r.upto(2, r.one_in(4) ? 30 : 5)) : 1;
    Random same = turn.of->r;
    turn.alone = std::make_unique<Forward>(tiny, turn.of->r, tokens, false);
    turn.of->r = same;
    turn.beside = std::make_unique<Forward>(tiny, turn.of->r, tokens, false);
    turn.before = turn.of->states();
    turn.of->host = {};
    if (r.one_in(8)) turn.ends = Ends::kStoppedBefore, turn.call.abort = 1;
    if (turn.of->mine && turn.ends == Ends::kWell && r.one_in(3))
      turn.ends = r.one_in(2) ? Ends::kFailing : Ends::kStoppedOnTheWay;
    all[i] = {};
    all[i].struct_bytes = sizeof all[i], all[i].cache = turn.of->beside->handle;
    all[i].forward = &turn.beside->asked, all[i].call = &turn.call;
  }
  for (Turn& turn : turns) {
    if (turn.ends == Ends::kFailing) turn.of->host.fail = 77;
    if (turn.ends == Ends::kStoppedOnTheWay) turn.of->host.stops = {&turn.call};
  }
  zs_call call{};
  test::must(zs_model_forward_many(model.handle, all.data(), static_cast<int64_t>(all.size()), &call), "many");
  check(call.done == call.total && call.total == static_cast<int64_t>(turns.size()), "progress ended at %lld of %lld",
        static_cast<long long>(call.done), static_cast<long long>(call.total));
  for (size_t i = 0; i < turns.size(); ++i) {
    Turn& turn = turns[i];
    const Member& m = *turn.of;
    const std::string text = m.mine ? "own" : m.config.text();
    turn.of->host = {};
    const bool was_asked = all[i].status != ZS_OK;  // a policy that has room is not asked, and then nothing ends
    if (turn.ends != Ends::kWell && (was_asked || turn.ends == Ends::kStoppedBefore)) {
      const zs_status expected = turn.ends == Ends::kFailing ? ZS_HOOK : ZS_ABORTED;
      check(all[i].status == expected && same(m.states(), turn.before), "%s: ended with %d, \"%s\"", text.c_str(),
            all[i].status, all[i].error);
      ++ended_otherwise[static_cast<int>(turn.ends)];
      continue;
    }
    check(all[i].status == ZS_OK && !all[i].error[0] && turn.call.done == turn.beside->asked.tokens, "%s: %d, \"%s\"",
          text.c_str(), all[i].status, all[i].error);
    test::must(zs_model_forward(model.handle, m.alone->handle, &turn.alone->asked, nullptr), "alone");
    check(turn.beside->same(*turn.alone), "%s, %lld tokens: other logits in company", text.c_str(),
          static_cast<long long>(turn.alone->asked.tokens));
  }
}

void company(int32_t weights, int threads, zs_isa isa, uint64_t seed) {
  Random r(seed);
  const TinyModel tiny(seed % 2 ? test::even_sizes() : test::odd_sizes(), seed);
  const Engine engine(threads, isa);
  const Model model(engine, tiny, weights);
  std::vector<std::unique_ptr<Member>> members;
  const int most = r.upto(2, 3 * zs_rows_together() / 2);
  for (int i = 0; i < most; ++i)
    members.push_back(std::make_unique<Member>(engine, model, tiny, seed * 1000 + static_cast<uint64_t>(i)));
  for (int round = 0; round < 12; ++round) {
    std::vector<Turn> turns;
    for (const auto& member : members)
      if (!r.one_in(6)) turns.push_back({member.get(), nullptr, nullptr});
    one_round(model, tiny, r, turns);
  }
  for (const auto& member : members)
    check(member->same_state(), "seed %llu: %s: another state in company", static_cast<unsigned long long>(seed),
          member->config.text().c_str());
}

// A token that the model has no number for is its own cache's misfortune alone.
void not_a_number() {
  const TinyModel tiny(test::odd_sizes(), 5);
  const zs_tensor& table = tiny.table[0];
  const int32_t bad = 7;
  std::FILE* const file = std::fopen(tiny.path.c_str(), "r+b");
  const int64_t row = table.bytes / tiny.config.vocabulary;
  const unsigned char ones[4] = {0xff, 0x7f, 0xff,
                                 0x7f};  // NaN as float32, and as the float16 that a block begins with
  std::fseek(file, static_cast<long>(table.offset + bad * row), SEEK_SET);
  check(std::fwrite(ones, 1, 4, file) == 4, "the file could not be changed");
  std::fclose(file);
  const Engine engine(2);
  const Model model(engine, tiny, ZS_F32);
  std::vector<std::unique_ptr<Cache>> caches;
  std::vector<std::vector<float>> logits(6, std::vector<float>(static_cast<size_t>(tiny.config.vocabulary))), alone;
  std::vector<int32_t> ids;
  std::vector<zs_forward> forwards(6);
  std::vector<zs_batched> all(6);
  const int64_t first = 0;
  for (int i = 0; i < 6; ++i) {
    const size_t at = static_cast<size_t>(i);
    const std::vector<int32_t> prompt{1, 2, 30 + i};
    ids.push_back(i == 2 ? bad : 20 + i);
    Cache judge(engine, tiny.cache_config());
    caches.push_back(std::make_unique<Cache>(engine, tiny.cache_config()));
    model.forward(judge, prompt), model.forward(*caches.back(), prompt);
    alone.push_back(model.forward(judge, {ids.back()}));
    zs_forward& f = forwards[at];
    f.struct_bytes = sizeof f, f.tokens = 1, f.rows = &first, f.row_count = 1, f.logits = logits[at].data();
    all[at].struct_bytes = sizeof all[at], all[at].cache = caches.back()->handle, all[at].forward = &f;
  }
  for (size_t i = 0; i < 6; ++i) forwards[i].ids = &ids[i];
  test::must(zs_model_forward_many(model.handle, all.data(), 6, nullptr), "many");
  for (size_t i = 0; i < 6; ++i)
    check(all[i].status == ZS_OK && (i == 2 ? std::isnan(logits[i][0]) && !caches[i]->receipt().finite
                                            : test::same_bits(logits[i], alone[i]) && caches[i]->receipt().finite),
          "cache %zu beside one with NaN", i);
}

void refusals() {
  const TinyModel tiny(test::even_sizes(), 9);
  const Engine engine(2), other(1);
  const Model model(engine, tiny, ZS_F32);
  Cache one(engine, tiny.cache_config()), two(engine, tiny.cache_config()), strange(other, tiny.cache_config());
  const std::vector<int32_t> prompt{1, 2, 3};
  for (Cache* cache : {&one, &two}) model.forward(*cache, prompt);
  const int32_t id = 4, wrong = tiny.config.vocabulary;
  zs_forward good{}, bad{};
  good.struct_bytes = bad.struct_bytes = sizeof good, good.tokens = bad.tokens = 1, good.ids = &id, bad.ids = &wrong;
  const auto batched = [&](const Cache& cache, const zs_forward& forward) {
    zs_batched b{};
    b.struct_bytes = sizeof b, b.cache = cache.handle, b.forward = &forward;
    return b;
  };
  const auto refused = [&](std::vector<zs_batched> all, const char* says) {
    const zs_status status = zs_model_forward_many(model.handle, all.data(), static_cast<int64_t>(all.size()), nullptr);
    check(status == ZS_INVALID && std::string(zs_last_error()).find(says) != std::string::npos,
          "expected \"%s\", told %d, \"%s\"", says, status, zs_last_error());
  };
  zs_batched none = batched(one, good), old = none;
  none.cache = nullptr, old.struct_bytes = 8;
  refused({batched(one, good), batched(two, good), batched(one, good)}, "numbers 0 and 2 are one cache");
  refused({batched(one, good), none}, "cache of number 1 is NULL");
  refused({old}, "struct_bytes = 8");
  check(zs_model_forward_many(model.handle, nullptr, 1, nullptr) == ZS_INVALID &&
            zs_model_forward_many(nullptr, &old, 1, nullptr) == ZS_INVALID &&
            zs_model_forward_many(model.handle, &old, -1, nullptr) == ZS_INVALID &&
            zs_model_forward_many(model.handle, nullptr, 0, nullptr) == ZS_OK,
        "NULL or a wrong count was taken");
  check(one.state(0).layer.seq_len == 3, "a refused call fed a token");
  std::vector<zs_batched> all{batched(one, bad), batched(two, good), batched(strange, good)};
  test::must(zs_model_forward_many(model.handle, all.data(), 3, nullptr), "many");
  check(all[0].status == ZS_INVALID && std::strstr(all[0].error, "ids[0] = 112") && one.state(0).layer.seq_len == 3,
        "a wrong id: %d, \"%s\"", all[0].status, all[0].error);
  check(all[1].status == ZS_OK && two.state(0).layer.seq_len == 4, "beside a wrong id: \"%s\"", all[1].error);
  check(all[2].status == ZS_INVALID && std::strstr(all[2].error, "another engine"), "a strange cache: \"%s\"",
        all[2].error);
}

}  // namespace

int main() {
  try {
    constexpr int32_t kWeights[] = {ZS_F32, ZS_BF16, ZS_WEIGHTS_FILE};
    const zs_isa all[] = {ZS_ISA_GENERIC, ZS_ISA_AVX2, ZS_ISA_AVX512};
    for (zs_isa isa : all) {
      zs_engine* probe = nullptr;
      if (zs_engine_create(1, isa, &probe) != ZS_OK) continue;
      zs_engine_destroy(probe);
      const int cases = test::alike(60, 12, 3);
      for (int i = 0; i < cases; ++i)
        company(kWeights[i % 3], i % 4 < 3 ? i % 4 + 1 : 1, isa, static_cast<uint64_t>(i + 1));
    }
    if (test::cases(60, 12, 3) >= 12)
      for (int i = 1; i < 4; ++i) check(ended_otherwise[i] > 0, "nobody ended in way %d", i);
    not_a_number();
    refusals();
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return test::finish("batch");
}
