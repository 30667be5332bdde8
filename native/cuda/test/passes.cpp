// Many rows through a model on a device with its library of products: near the CPU's; without memory for them the
// CPU's to the bit; stopped between launches. Up to eight rows have the CPU's bits whatever library there is.
#include <algorithm>
#include <cmath>

#include "core/engine.h"
#include "cuda/backend/device.h"
#include "cuda/products.h"
#include "model/runner.h"
#include "test/results.h"
#include "test/tiny_model.h"

namespace {

using test::Cache;
using test::Engine;
using test::Random;
using test::TinyModel;

struct Side {
  explicit Side(bool there, int64_t memory = int64_t{1} << 28) : engine(1) {
    if (there) engine.handle->use(std::make_unique<zs::cuda::GpuDevice>(zs::DeviceOptions{0, memory}));
  }
  const Engine engine;
};

TinyModel tiny_model(uint64_t seed) {
  zs_model_config c = seed % 2 ? test::even_sizes() : test::odd_sizes();
  c.layers = 2;
  return TinyModel(c, seed);
}

struct Scored {
  zs_status status;
  std::vector<double> logprobs;  // of all rows
  std::vector<float> logits;     // of the last
};

Scored forward(const test::Model& model, const Cache& cache, const std::vector<int32_t>& ids, zs_call* call = nullptr) {
  const int64_t last = static_cast<int64_t>(ids.size()) - 1;
  Scored scored{ZS_OK, std::vector<double>(ids.size()), std::vector<float>(static_cast<size_t>(model.vocabulary))};
  std::vector<int32_t> targets(ids.begin() + 1, ids.end());
  targets.push_back(0);
  for (size_t row = 2; row < targets.size(); row += 3) targets[row] = -1;  // those wanted do not lie side by side
  zs_forward f{};
  f.struct_bytes = sizeof f, f.ids = ids.data(), f.tokens = last + 1;
  f.rows = &last, f.row_count = 1, f.logits = scored.logits.data();
  f.targets = targets.data(), f.logprobs = scored.logprobs.data();
  scored.status = zs_model_forward(model.handle, cache.handle, &f, call);
  return scored;
}

bool equal(const Scored& a, const Scored& b) { return a.logprobs == b.logprobs && a.logits == b.logits; }

// The furthest of b from a; infinity where one is no number.
double distance(const Scored& a, const Scored& b) {
  double worst = 0;
  const auto see = [&](double x, double y) {
    if (!(std::fabs(x - y) <= worst)) worst = std::isfinite(x - y) ? std::fabs(x - y) : INFINITY;
  };
  for (size_t i = 0; i < a.logprobs.size(); ++i) see(a.logprobs[i], b.logprobs[i]);
  for (size_t i = 0; i < a.logits.size(); ++i) see(static_cast<double>(a.logits[i]), static_cast<double>(b.logits[i]));
  return worst;
}

void near_the_cpu(const Side& cpu, const Side& device, uint64_t seed) {
  Random random(seed);
  const TinyModel tiny = tiny_model(seed);
  const int32_t weights = random.one_in(2) ? ZS_BF16 : ZS_F32;
  const test::Model here(cpu.engine, tiny, weights), there(device.engine, tiny, weights);
  const auto number = static_cast<unsigned long long>(seed);
  // Rounded to bfloat16 where the CPU may not round, else sums in another order.
  const double most = weights == ZS_BF16 ? 0.1 : 2e-4;
  Cache a(cpu.engine, tiny.cache_config()), b(device.engine, tiny.cache_config());
  bool few = true;
  for (const int count : {random.one_in(2) ? random.upto(1, 8) : random.upto(9, 40), 5, 1, random.upto(9, 30), 8, 3}) {
    few = few && count <= zs::cuda::kFewRows;
    const std::vector<int32_t> ids = test::some_ids(tiny, count, seed * 100 + static_cast<uint64_t>(count));
    const Scored x = forward(here, a, ids), y = forward(there, b, ids);
    test::must(x.status, "forward"), test::must(y.status, "forward");
    const double far = distance(x, y);
    test::check(few ? equal(x, y) : far <= most, "case %llu: %d rows of weights %d are %g from those of the CPU",
                number, count, weights, far);
  }
}

// All that is left of the device's memory is somebody else's.
void without_memory(uint64_t seed) {
  const Side cpu(false), device(true, int64_t{8} << 20);
  const TinyModel tiny = tiny_model(seed);
  const test::Model here(cpu.engine, tiny, ZS_F32), there(device.engine, tiny, ZS_F32);
  const Cache a(cpu.engine, tiny.cache_config()), b(device.engine, tiny.cache_config());
  std::vector<std::unique_ptr<zs::DevicePass>> held;
  for (int64_t rows = 4096; rows > 0;) {
    try {
      held.push_back(there.handle->device->pass(rows, std::min<int64_t>(rows, 1024)));
    } catch (const zs::Error& e) {
      test::check(e.status == ZS_OUT_OF_MEMORY, "without memory a pass says %s", e.message.c_str());
      rows /= 2;
    }
  }
  for (const int count : {40, 6}) {
    const std::vector<int32_t> ids = test::some_ids(tiny, count, seed);
    test::check(equal(forward(here, a, ids), forward(there, b, ids)),
                "without memory on the device %d rows are not those of the CPU", count);
  }
}

// Each chunk of rows asks whether it is to go on, and what that throws ends it.
void stopped(const Side& device) {
  const TinyModel tiny = tiny_model(1);
  const test::Model model(device.engine, tiny, ZS_F32);
  const zs::LayerWeights& w = model.handle->weights.layers[0];
  const int32_t count = 20;
  const auto rows = [&](int64_t wide) { return std::vector<float>(static_cast<size_t>(count * wide)); };
  std::vector<float> qkv = rows(w.qkv.outputs()), attended = rows(w.attention_output.k),
                     angles = rows(tiny.config.rope_dims);
  const std::unique_ptr<zs::DevicePass> pass = model.handle->device->pass(count, count);
  pass->embed(test::some_ids(tiny, static_cast<int>(count), 1).data(), count, angles.data());
  const auto stops = [&](auto call) {
    try {
      call([] { zs::fail(ZS_ABORTED, "stopped"); });
    } catch (const zs::Error& e) {
      return e.status == ZS_ABORTED;
    }
    return false;
  };
  test::check(stops([&](const auto& go_on) { pass->project(0, 0, count, qkv.data(), go_on); }),
              "a projection does not stop");
  test::check(stops([&](const auto& go_on) { pass->feed_forward(0, 0, count, attended.data(), go_on); }),
              "a feed-forward layer does not stop");
}

// Rows in the middle are those that they are among others.
void in_the_middle(const Side& device) {
  const TinyModel tiny = tiny_model(1);
  const test::Model model(device.engine, tiny, ZS_F32);
  const int64_t wide = model.handle->weights.layers[0].qkv.outputs(), count = 8, from = 3, some = 4;
  Random random(1);
  std::vector<float> all(static_cast<size_t>(count * wide)), part(static_cast<size_t>(some * wide)),
      angles(static_cast<size_t>(count * tiny.config.rope_dims));
  for (float& one : angles) one = random.element();
  const std::unique_ptr<zs::DevicePass> pass = model.handle->device->pass(count, count);
  pass->embed(test::some_ids(tiny, static_cast<int>(count), 1).data(), count, angles.data());
  pass->project(0, 0, count, all.data(), [] {});
  pass->project(0, from, some, part.data(), [] {});
  test::check(std::equal(part.begin(), part.end(), all.begin() + from * wide), "rows in the middle are others");
}

}  // namespace

int main() {
  const int cases = test::cases(40, 12, 3);
  try {
    const Side cpu(false), device(true);
    for (int i = 1; i <= cases; ++i) {
      zs::gpu::vary_order(static_cast<uint64_t>(i));
      near_the_cpu(cpu, device, static_cast<uint64_t>(i));
    }
    without_memory(1);
    stopped(device);
    in_the_middle(device);
  } catch (const std::exception& e) {
    test::check(false, "it stopped: %s", e.what());
  }
  return test::finish("passes");
}
