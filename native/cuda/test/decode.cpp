// Decode attention and its merging, as emulated, beside native/cpu bit for bit, and beside a plain sum in double precision: random shapes
// with a liking for edges (1 slot, a tile ± 1, a stage ± 1, full chunks), ragged chunks, all storages, groups 1 to 8, every order of threads.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "core/work.h"
#include "cuda/decode_attention.h"
#include "cuda/test/twins.h"
#include "cuda/tuning.h"
#include "test/check.h"

namespace {

using namespace zs::twins;
using test::Random;
using zs::round_up;

struct Head {
  std::vector<zs::DecodeTask> here, there;  // of the CPU, and with device memory
  zs::cuda::MergeTask merge;
  Twins::Twin<float> q, e, highest, sum, partial, factor, out;
  std::vector<Bytes> keys, values;
  std::vector<std::vector<float>> bias;
};

void one_case(uint64_t seed) {
  Random random(seed);
  constexpr int32_t kStorages[] = {ZS_F32, ZS_F16, ZS_BF16}, kDims[] = {64, 128, 32, 80, 96, 256, 2, 18};
  zs::cuda::DecodeShape shape{};
  shape.storage = random.of(kStorages);
  shape.float_keys = shape.storage != ZS_F32 && random.one_in(4);
  shape.group = random.upto(1, zs::cuda::kMostGroup);
  shape.d = random.one_in(2) ? random.of(kDims) : 64;
  const int32_t key_storage = shape.float_keys ? static_cast<int32_t>(ZS_F32) : shape.storage;
  const int64_t padded = round_up(shape.d, zs::kLane), group = shape.group, d = shape.d;
  const float scale = 1 / std::sqrt(static_cast<float>(d));
  const bool wild = random.one_in(16);  // numbers that are none among the queries

  Twins twins;
  std::vector<Head> heads(static_cast<size_t>(random.upto(1, 3)));
  std::vector<zs::DecodeTask> work;
  for (Head& head : heads) {
    const int chunks = random.one_in(3) ? random.upto(2, 5) : 1;
    const int64_t e_stride = chunks * zs::kChunk;
    std::vector<float> q(group * d);
    for (float& x : q) x = 4 * random.element();
    if (wild) q[random.next() % q.size()] = random.one_in(2) ? NAN : INFINITY;
    head.q = twins.of(q);
    head.e = twins.blank_of<float>(group * e_stride);
    head.highest = twins.blank_of<float>(group * chunks);
    head.sum = twins.blank_of<float>(group * chunks);
    head.factor = twins.blank_of<float>(group * chunks);
    head.partial = twins.blank_of<float>(group * chunks * padded);
    head.out = twins.blank_of<float>(group * d);
    for (int c = 0; c < chunks; ++c) {
      const int32_t slots = slots_of(random);
      const int64_t whole = round_up(slots, zs::kLane);
      Bytes keys(whole * d * (key_storage == ZS_F32 ? 4 : 2)),
          values(slots * padded * (shape.storage == ZS_F32 ? 4 : 2));
      for (int64_t s = 0; s < whole; ++s)
        for (int64_t i = 0; i < d; ++i) put(keys, key_at(s, i, d, key_storage), 4 * random.element(), key_storage);
      for (int64_t s = 0; s < slots; ++s)
        for (int64_t i = 0; i < padded; ++i)
          put(values, s * padded + i, i < d ? 4 * random.element() : 0, shape.storage);
      std::vector<float> bias(random.one_in(2) ? whole : 0);
      for (float& x : bias) x = random.one_in(4) ? static_cast<float>(3 * random.unit()) : 0;

      zs::DecodeTask task{};
      task.chunk = {keys.data(), values.data(), nullptr, slots, shape.storage, shape.float_keys};
      task.q_stride = d;
      task.group = shape.group;
      task.d = shape.d;
      task.scale = scale;
      task.e_stride = e_stride;
      zs::DecodeTask there = task;
      head.keys.push_back(keys);
      head.values.push_back(values);
      head.bias.push_back(bias);
      there.chunk.keys = twins.of(keys).device;
      there.chunk.values = twins.of(values).device;
      if (!bias.empty()) there.chunk.bias = twins.of(bias).device;
      there.q = head.q.device;
      there.e = head.e.device + c * zs::kChunk;
      there.highest = head.highest.device + c * group;
      there.sum = head.sum.device + c * group;
      there.out = head.partial.device + c * group * padded;
      task.q = head.q.host.data();
      task.e = head.e.host.data() + c * zs::kChunk;
      task.highest = head.highest.host.data() + c * group;
      task.sum = head.sum.host.data() + c * group;
      task.out = head.partial.host.data() + c * group * padded;
      head.here.push_back(task);
      work.push_back(there);
    }
    head.merge = {head.highest.device,
                  head.sum.device,
                  head.partial.device,
                  chunks,
                  head.factor.device,
                  head.out.device,
                  d,
                  head.q.device,
                  d};
  }

  const zs::AttentionKernels& cpu = cpu_of(seed);
  for (Head& head : heads) {
    for (size_t c = 0; c < head.here.size(); ++c) {
      head.here[c].chunk.keys = head.keys[c].data();
      head.here[c].chunk.values = head.values[c].data();
      if (!head.bias[c].empty()) head.here[c].chunk.bias = head.bias[c].data();
      cpu.decode(head.here[c]);
    }
    cpu.merge(head.highest.host.data(), head.sum.host.data(), head.partial.host.data(), head.merge.chunks, shape.group,
              shape.d, head.factor.host.data(), head.out.host.data(), d);
    for (int64_t g = 0; g < group; ++g) {  // as core/step.cpp does
      if (zs::is_finite(head.q.host.data() + g * d, shape.d)) continue;
      std::fill_n(head.out.host.data() + g * d, d, NAN);
      for (int c = 0; c < head.merge.chunks; ++c) head.factor.host[c * group + g] = NAN;
    }
  }

  const auto tasks = twins.of(work);
  std::vector<zs::cuda::MergeTask> merges;
  for (const Head& head : heads) merges.push_back(head.merge);
  const auto merging = twins.of(merges);
  zs::gpu::vary_order(seed);
  std::string what = zs::cuda::decode(tasks.device, static_cast<int32_t>(work.size()), shape, {});
  if (what.empty())
    what = zs::cuda::merge(merging.device, static_cast<int32_t>(merges.size()), shape.group, shape.d, {});
  if (!test::check(what.empty(), "case %llu: %s", static_cast<unsigned long long>(seed), what.c_str())) return;

  const auto same = [&](const char* name, const Twins::Twin<float>& twin, int64_t from, int64_t count) {
    std::vector<float> got(static_cast<size_t>(count));
    zs::gpu::download(got.data(), twin.device + from, got.size() * sizeof(float));
    test::check(same_bits(got.data(), twin.host.data() + from, count),
                "case %llu: %s are not those of the CPU (storage %d, float keys %d, group %d, headDim %d)",
                static_cast<unsigned long long>(seed), name, shape.storage, shape.float_keys, shape.group, shape.d);
  };
  double worst = 0;
  for (const Head& head : heads) {
    const auto chunks = static_cast<int64_t>(head.here.size());
    same("outputs", head.out, 0, group * d);
    same("factors", head.factor, 0, group * chunks);
    same("maxima", head.highest, 0, group * chunks);
    same("sums", head.sum, 0, group * chunks);
    same("sums of values", head.partial, 0, group * chunks * padded);
    for (int64_t c = 0; c < chunks; ++c)
      for (int64_t g = 0; g < group; ++g)
        same("exponentials", head.e, g * chunks * zs::kChunk + c * zs::kChunk,
             round_up(head.here[c].chunk.slots, zs::kLane));
    if (wild) continue;
    // In double precision: the largest logit first, then all.
    for (int64_t g = 0; g < group; ++g) {
      std::vector<std::vector<double>> logits;
      double top = -INFINITY, total = 0;
      for (int64_t c = 0; c < chunks; ++c) {
        logits.emplace_back();
        for (int64_t s = 0; s < head.here[c].chunk.slots; ++s) {
          double x = 0;
          for (int64_t i = 0; i < d; ++i)
            x += static_cast<double>(head.q.host[g * d + i]) *
                 get(head.keys[c], key_at(s, i, d, key_storage), key_storage);
          x = x * static_cast<double>(scale) + (head.bias[c].empty() ? 0 : static_cast<double>(head.bias[c][s]));
          logits.back().push_back(x);
          top = std::max(top, x);
        }
      }
      std::vector<double> out(static_cast<size_t>(d));
      for (int64_t c = 0; c < chunks; ++c)
        for (size_t s = 0; s < logits[c].size(); ++s) {
          const double p = std::exp(logits[c][s] - top);
          total += p;
          for (int64_t i = 0; i < d; ++i)
            out[i] += p * get(head.values[c], static_cast<int64_t>(s) * padded + i, shape.storage);
        }
      std::vector<float> got(static_cast<size_t>(d));
      zs::gpu::download(got.data(), head.out.device + g * d, got.size() * sizeof(float));
      for (int64_t i = 0; i < d; ++i) {
        const double error = std::fabs(static_cast<double>(got[i]) - out[i] / total);
        if (!(error <= worst)) worst = error;
      }
    }
  }
  // Of the largest value, 4: sums of what is that large are not known better.
  test::check(worst <= 4e-5, "case %llu: outputs are up to %g from those in double precision",
              static_cast<unsigned long long>(seed), worst);
}

}  // namespace

int main() {
  refusals([](int32_t group, int32_t d, int32_t storage) {
    return zs::cuda::decode(nullptr, 1, {storage, false, group, d}, {});
  });
  return run_cases("decode", one_case);
}
