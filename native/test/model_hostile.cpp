// Models: every kind of wrong table, shape, file and argument is refused with a sentence, and what is there still works.
#include <functional>
#include <limits>

#include "model/quants.h"
#include "test/tiny_model.h"

namespace {

constexpr int32_t kWeights[] = {ZS_WEIGHTS_FILE, ZS_F32, ZS_BF16};

using test::Cache;
using test::check;
using test::Engine;
using test::even_sizes;
using test::Model;
using test::odd_sizes;
using test::some_ids;
using test::super_sizes;
using test::TinyModel;

void refused(zs_status given, int status, const char* what) {
  const std::string sentence = zs_last_error();
  check(given != ZS_OK && (status < 0 || given == status) && sentence.size() >= 12, "%s: status %d, \"%s\"", what,
        given, sentence.c_str());
}

void hostile_tables() {
  const Engine engine(2);
  const TinyModel tiny(even_sizes(), 41);
  const int64_t count = static_cast<int64_t>(tiny.table.size()), end = tiny.file_bytes(),
                most = std::numeric_limits<int64_t>::max();
  const auto load = [&](const zs_model_config& config, const std::vector<zs_tensor>& table, const char* path,
                        zs_model** out) {
    return zs_model_load(engine.handle, &path, 1, &config, table.data(), static_cast<int64_t>(table.size()), out,
                         nullptr);
  };
  const auto bad = [&](const zs_model_config& config, const std::vector<zs_tensor>& table, const char* what,
                       int status = -1) {
    zs_model* out = nullptr;
    refused(load(config, table, tiny.path.c_str(), &out), status, what);
    zs_model_destroy(out);
  };
  using Change = std::function<void(zs_tensor&)>;
  for (int64_t i = 0; i < count; ++i) {
    const auto with = [&](const char* what, const Change& change, int status = -1) {
      std::vector<zs_tensor> table = tiny.table;
      change(table[static_cast<size_t>(i)]);
      bad(tiny.config, table, what, status);
    };
    for (int64_t x :
         {int64_t{-1}, end, end + 1, end - tiny.table[static_cast<size_t>(i)].bytes + 1, most, -most - 1, most - 3})
      with("offset", [=](zs_tensor& t) { t.offset = x; }, ZS_INVALID);
    for (int64_t x : {int64_t{0}, int64_t{-1}, most, -most - 1, tiny.table[static_cast<size_t>(i)].bytes - 1, end})
      with("bytes", [=](zs_tensor& t) { t.bytes = x; });
    for (int64_t x : {int64_t{0}, int64_t{-1}, int64_t{63}, int64_t{65}, int64_t{1} << 40, most, -most - 1}) {
      with("inputs", [=](zs_tensor& t) { t.shape[0] = x; });
      if (tiny.table[static_cast<size_t>(i)].dims == 2) with("rows", [=](zs_tensor& t) { t.shape[1] = x; });
    }
    for (int x : {-1, 1, INT32_MAX, INT32_MIN}) with("file", [=](zs_tensor& t) { t.file = x; }, ZS_INVALID);
    for (int x : {0, 3, -1, 99}) with("dims", [=](zs_tensor& t) { t.dims = x; });
    for (int x : {-1, 4, 10, 999}) with("type", [=](zs_tensor& t) { t.type = x; }, ZS_UNSUPPORTED);
    with("another type", [](zs_tensor& t) { t.type = t.type == ZS_T_F32 ? ZS_T_F16 : ZS_T_F32; });
    with("no name", [](zs_tensor& t) { t.name = nullptr; });
    with("unknown name", [](zs_tensor& t) { t.name = "blk.2.attn_q.weight"; });
    with("empty name", [](zs_tensor& t) { t.name = ""; });
    std::vector<zs_tensor> table = tiny.table;
    table.erase(table.begin() + static_cast<long>(i));
    bad(tiny.config, table, "a missing tensor", ZS_INVALID);
    table = tiny.table;
    table.push_back(tiny.table[static_cast<size_t>(i)]);
    bad(tiny.config, table, "a tensor twice", ZS_INVALID);
  }
  bad(tiny.config, {}, "no tensors", ZS_INVALID);

  const auto sized = [&](const char* what, const std::function<void(zs_model_config&)>& change) {
    zs_model_config config = tiny.config;
    change(config);
    bad(config, tiny.table, what);
  };
  for (int32_t x : {0, -1, 1, 3, 1000, INT32_MAX, INT32_MIN}) {
    sized("layers", [=](zs_model_config& c) { c.layers = x; });
    sized("heads", [=](zs_model_config& c) { c.heads = x; });
    sized("kv_heads", [=](zs_model_config& c) { c.kv_heads = x; });
    sized("head_dim", [=](zs_model_config& c) { c.head_dim = x; });
    sized("hidden", [=](zs_model_config& c) { c.hidden = x; });
    sized("feed_forward", [=](zs_model_config& c) { c.feed_forward = x; });
    sized("vocabulary", [=](zs_model_config& c) { c.vocabulary = x; });
    if (x != 1) sized("arch", [=](zs_model_config& c) { c.arch = x ? x : 7; });
    sized("weights", [=](zs_model_config& c) { c.weights = x == 0 || x == -1 ? 9 : x; });
    sized("rope_dims", [=](zs_model_config& c) { c.rope_dims = x; });
    if (x <= 0) sized("context", [=](zs_model_config& c) { c.context = x; });
    if (x != 1) sized("tied_output", [=](zs_model_config& c) { c.tied_output = x ? x : 2; });
    sized("struct_bytes", [=](zs_model_config& c) { c.struct_bytes = x; });
  }
  for (float x : {NAN, INFINITY, -INFINITY, -1.0f}) {
    sized("rope_base", [=](zs_model_config& c) { c.rope_base = x; });
    sized("norm_eps", [=](zs_model_config& c) { c.norm_eps = x; });
  }
  sized("rope_base", [](zs_model_config& c) { c.rope_base = 0; });
  sized("own output", [](zs_model_config& c) { c.tied_output = 0; });

  zs_model* out = nullptr;
  refused(load(tiny.config, tiny.table, "/nowhere/at/all.gguf", &out), ZS_IO, "no file");
  refused(load(tiny.config, tiny.table, "/tmp", &out), ZS_IO, "a folder");
  refused(load(tiny.config, tiny.table, "/dev/zero", &out), ZS_IO, "a device");
  refused(load(tiny.config, tiny.table, "/dev/null", &out), -1, "an empty file");
  const char* const paths[] = {tiny.path.c_str(), nullptr};
  refused(zs_model_load(nullptr, paths, 1, &tiny.config, tiny.table.data(), count, &out, nullptr), ZS_INVALID,
          "no engine");
  refused(zs_model_load(engine.handle, nullptr, 1, &tiny.config, tiny.table.data(), count, &out, nullptr), ZS_INVALID,
          "no paths");
  for (int32_t n : {0, -1, 2, INT32_MIN})
    refused(zs_model_load(engine.handle, paths, n, &tiny.config, tiny.table.data(), count, &out, nullptr), ZS_INVALID,
            "a wrong number of paths");
  refused(zs_model_load(engine.handle, paths, 1, nullptr, tiny.table.data(), count, &out, nullptr), ZS_INVALID,
          "no config");
  refused(zs_model_load(engine.handle, paths, 1, &tiny.config, nullptr, count, &out, nullptr), ZS_INVALID, "no table");
  refused(zs_model_load(engine.handle, paths, 1, &tiny.config, tiny.table.data(), -1, &out, nullptr), ZS_INVALID,
          "a negative count");
  refused(zs_model_load(engine.handle, paths, 1, &tiny.config, tiny.table.data(), count, nullptr, nullptr), ZS_INVALID,
          "no place");
  check(load(tiny.config, tiny.table, tiny.path.c_str(), &out) == ZS_OK, "a good table is refused: %s",
        zs_last_error());
  check(zs_model_bytes(out) > 0, "a model without bytes");
  zs_model_destroy(out);
}

// Tables that call a matrix another type than it is, with that type's bytes and others.
void hostile_types() {
  const Engine engine(2);
  for (const zs_model_config& shape : {even_sizes(), odd_sizes(), super_sizes()}) {
    const TinyModel tiny(shape, 61);
    const char* const path = tiny.path.c_str();
    const auto load = [&](size_t which, int type, int64_t bytes) {
      std::vector<zs_tensor> table = tiny.table;
      table[which].type = type, table[which].bytes = bytes;
      zs_model* out = nullptr;
      const zs_status status = zs_model_load(engine.handle, &path, 1, &tiny.config, table.data(),
                                             static_cast<int64_t>(table.size()), &out, nullptr);
      zs_model_destroy(out);
      return status;
    };
    for (size_t i = 0; i < tiny.table.size(); ++i) {
      const zs_tensor& tensor = tiny.table[i];
      for (int type : test::kBlockTypes) {
        const zs::BlockType& block = *zs::block_type(type);
        const auto told = [&](const char* words) {
          check(std::strstr(zs_last_error(), words), "%s as %s: \"%s\" says nothing of \"%s\"", tensor.name, block.name,
                zs_last_error(), words);
        };
        if (tensor.shape[0] % block.values) {
          refused(load(i, type, tensor.bytes), ZS_INVALID, block.name);
          told(block.values == 256 ? "comes in blocks of 256" : "comes in blocks of 32");
          continue;
        }
        const int64_t right = tensor.shape[0] / block.values * tensor.shape[1] * block.bytes;
        for (int64_t wrong : {right - block.bytes, right - 1, right + 1, right + block.bytes, -right, int64_t{0}}) {
          refused(load(i, type, wrong), ZS_INVALID, block.name);
          told((std::string(block.name) + " needs " + std::to_string(right)).c_str());
        }
        if (right <= tiny.file_bytes() - tensor.offset) {
          if (shape.hidden == super_sizes().hidden && (i + static_cast<size_t>(type)) % 4)
            continue;  // whole loads are few
          check(load(i, type, right) == ZS_OK, "%s, read as %s: %s", tensor.name, block.name, zs_last_error());
        } else {
          refused(load(i, type, right), ZS_INVALID, block.name);
          told("beyond the end");
        }
      }
    }
  }
}

// Fills a tensor with drawn bytes, or begins a few of its blocks with a scale at an end of its range, infinite or NaN.
void damage(const TinyModel& tiny, const zs_tensor& tensor, test::Random& random) {
  const uint16_t scales[] = {0x7c00, 0xfc00, 0x7e00, 0x7c01, 0xffff, 0x7bff, 0x0001, 0x8000};
  FILE* const file = std::fopen(tiny.path.c_str(), "r+b");
  const auto put = [&](int64_t at, uint16_t word) {
    std::fseek(file, static_cast<long>(tensor.offset + at), SEEK_SET);
    std::fwrite(&word, 2, 1, file);
  };
  const int64_t block = zs::block_type(tensor.type)->bytes, blocks = tensor.bytes / block;
  const int64_t scale = tensor.type == ZS_T_Q6_K ? 208 : tensor.type == ZS_T_F32 ? 2 : 0;  // F32: its upper half
  if (random.one_in(3))
    for (int64_t at = 0; at < tensor.bytes; at += 2) put(at, static_cast<uint16_t>(random.next()));
  else
    for (int n = random.upto(1, 4); n > 0; --n)
      put(static_cast<int64_t>(random.next() >> 1) % blocks * block + scale, random.of(scales));
  std::fclose(file);
}

// Any byte is a value of its type: a model of nonsense loads and gives logits, finite or not.
void hostile_bytes() {
  const Engine engine(2);
  const int count = test::cases(330, 66, 11);
  int finite = 0, others = 0;
  for (int seed = 0; seed < count; ++seed) {
    test::Random random(static_cast<uint64_t>(seed));
    zs_model_config shape = seed % 3 ? seed % 3 == 1 ? even_sizes() : odd_sizes() : super_sizes();
    if (seed % 3 == 0) shape.layers = 1, shape.feed_forward = 256;
    const TinyModel tiny(shape, static_cast<uint64_t>(seed));
    for (int n = random.upto(1, 3); n > 0; --n)
      damage(tiny, tiny.table[static_cast<size_t>(random.next() % tiny.table.size())], random);
    const Model model(engine, tiny, random.of(kWeights));
    test::CacheConfig config = tiny.cache_config(random.one_in(2) ? ZS_F32 : ZS_F16);
    if (random.one_in(2)) config.policy = test::count_policy(6, 2, 1);
    Cache cache(engine, config);
    std::vector<float> logits(static_cast<size_t>(shape.vocabulary));
    const int64_t row = 0;
    for (int tokens : {12, 1, 1, 3}) {
      const std::vector<int32_t> ids = some_ids(tiny, tokens, static_cast<uint64_t>(seed + tokens));
      zs_forward f{};
      f.struct_bytes = sizeof f, f.ids = ids.data(), f.tokens = tokens;
      f.rows = &row, f.row_count = 1, f.logits = logits.data();
      check(zs_model_forward(model.handle, cache.handle, &f, nullptr) == ZS_OK, "seed %d: %s", seed, zs_last_error());
      ++(std::isfinite(logits[0]) ? finite : others);
    }
  }
  check(finite > count / 4 && others > count / 4, "%d logits are finite, %d are not", finite, others);
}

void hostile_calls() {
  zs_model_config shape = even_sizes();
  shape.context = 50;
  const TinyModel tiny(shape, 51);
  const Engine engine(2), other(1);
  const Model model(engine, tiny, ZS_F32);
  Cache cache(engine, tiny.cache_config()), foreign(other, tiny.cache_config());
  test::CacheConfig narrow = tiny.cache_config();
  narrow.heads = 2;
  Cache wrong(engine, narrow);
  const std::vector<int32_t> ids = some_ids(tiny, 50, 1);
  const std::vector<int64_t> rows{0, 2, 5};
  std::vector<float> logits(3 * 112);
  std::vector<int32_t> targets(50, 1);
  std::vector<double> logprobs(50);
  zs_forward good{};
  good.struct_bytes = sizeof good, good.ids = ids.data(), good.tokens = 40;
  good.rows = rows.data(), good.row_count = 3, good.logits = logits.data();
  good.targets = targets.data(), good.logprobs = logprobs.data();
  const auto with = [&](const char* what, const std::function<void(zs_forward&)>& change) {
    zs_forward f = good;
    change(f);
    refused(zs_model_forward(model.handle, cache.handle, &f, nullptr), ZS_INVALID, what);
  };
  const auto every_fault = [&] {
    with("struct_bytes", [](zs_forward& f) { f.struct_bytes = 4; });
    with("no ids", [](zs_forward& f) { f.ids = nullptr; });
    for (int64_t x : {int64_t{0}, int64_t{-1}, int64_t{51}, std::numeric_limits<int64_t>::max(),
                      std::numeric_limits<int64_t>::min()})
      with("tokens", [=](zs_forward& f) { f.tokens = x; });
    for (int64_t x : {int64_t{-1}, int64_t{41}, std::numeric_limits<int64_t>::max()})
      with("row_count", [=](zs_forward& f) { f.row_count = x; });
    with("no rows", [](zs_forward& f) { f.rows = nullptr; });
    with("no logits", [](zs_forward& f) { f.logits = nullptr; });
    with("no logprobs", [](zs_forward& f) { f.logprobs = nullptr; });
    static const int64_t unordered[] = {2, 1, 3}, twice[] = {1, 1, 2}, beyond[] = {0, 1, 40}, negative[] = {-1, 0, 1};
    for (const int64_t* x : {unordered, twice, beyond, negative}) with("rows", [=](zs_forward& f) { f.rows = x; });
    for (int32_t x : {-1, 112, INT32_MAX, INT32_MIN}) {
      std::vector<int32_t> wild = ids, aims = targets;
      wild[39] = x, aims[39] = x == -1 ? -2 : x;
      with("ids", [&](zs_forward& f) { f.ids = wild.data(); });
      with("targets", [&](zs_forward& f) { f.targets = aims.data(); });
    }
  };
  every_fault();
  with("share_of", [](zs_forward& f) { f.share_of = -1; });
  with("given of a prompt", [&](zs_forward& f) { f.given = logits.data(); });
  zs_compared compared;
  refused(zs_compare_logits(nullptr, logits.data(), logits.data(), 4, &compared), ZS_INVALID, "no engine");
  refused(zs_compare_logits(engine.handle, nullptr, logits.data(), 4, &compared), ZS_INVALID, "no row");
  refused(zs_compare_logits(engine.handle, logits.data(), logits.data(), 4, nullptr), ZS_INVALID, "no room");
  refused(zs_compare_logits(engine.handle, logits.data(), logits.data(), 0, &compared), ZS_INVALID, "no logits");
  refused(zs_model_forward(nullptr, cache.handle, &good, nullptr), ZS_INVALID, "no model");
  refused(zs_model_forward(model.handle, nullptr, &good, nullptr), ZS_INVALID, "no cache");
  refused(zs_model_forward(model.handle, cache.handle, nullptr, nullptr), ZS_INVALID, "no call");
  refused(zs_model_forward(model.handle, wrong.handle, &good, nullptr), ZS_INVALID, "a cache of another shape");
  refused(zs_model_forward(model.handle, foreign.handle, &good, nullptr), ZS_INVALID, "a cache of another engine");
  check(cache.state(0).layer.slots == 0, "refused calls left something");
  check(zs_model_forward(model.handle, cache.handle, &good, nullptr) == ZS_OK, "a good call is refused: %s",
        zs_last_error());
  const test::State state = cache.state(1);
  every_fault();
  with("beyond the context", [](zs_forward& f) { f.tokens = 11, f.row_count = 0, f.targets = nullptr; });
  check(test::same_bits(cache.state(1), state), "refused calls changed the cache");
}

}  // namespace

int main() {
  try {
    hostile_tables();
    hostile_types();
    hostile_bytes();
    hostile_calls();
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return test::finish("model_hostile");
}
