// Prefill attention, as emulated, beside native/cpu bit for bit, and beside a plain sum in double precision: random prompts and turns of one
// or several sequences over what came before (ragged chunks, merged slots in float32 with weights), prompts of up to 512 tokens with a liking
// for edges (a tile ± 1, a stage ± 1, a chunk ± 1), all storages, groups 1 to 8, blocks of rows full or not, every order of threads.
#include <algorithm>
#include <cmath>
#include <vector>

#include "cuda/prefill_attention.h"
#include "cuda/test/prompts.h"

namespace {

using namespace zs::twins;
using test::Random;

// In double precision: one row of one head.
std::vector<double> attended(const Sequence& one, int32_t g, int64_t row, float scale) {
  const int64_t d = one.d, padded = zs::round_up(d, zs::kLane);
  const float* const q = one.query(g, row);
  std::vector<double> logits, out(static_cast<size_t>(d));
  double top = -INFINITY, total = 0;
  one.each_seen(row, [&](const Page& page, int64_t slot) {
    double x = 0;
    for (int64_t i = 0; i < d; ++i)
      x += static_cast<double>(q[i]) * get(page.keys, key_at(slot, i, d, page.key_storage()), page.key_storage());
    x = x * static_cast<double>(scale) + (page.bias.empty() ? 0 : static_cast<double>(page.bias[slot]));
    logits.push_back(x);
    top = std::max(top, x);
  });
  size_t n = 0;
  one.each_seen(row, [&](const Page& page, int64_t slot) {
    const double p = std::exp(logits[n++] - top);
    total += p;
    for (int64_t i = 0; i < d; ++i) out[i] += p * get(page.values, slot * padded + i, page.chunk.storage);
  });
  for (double& x : out) x /= total;
  return out;
}

void one_case(uint64_t seed) {
  Random random(seed);
  const Prompts prompts(random, true);
  const zs::cuda::PrefillShape shape = {prompts.storage, prompts.floats, prompts.group, prompts.d};
  const int64_t d = prompts.d;

  Twins twins;
  struct Outputs {
    Twins::Twin<float> out, highest, inverse;
  };
  std::vector<Outputs> outputs;
  std::vector<zs::RowsTask> work;
  for (const Sequence& one : prompts.sequences) {
    const int64_t tokens = one.tokens, all = prompts.group * tokens;
    outputs.push_back({twins.blank_of<float>(all * d), twins.blank_of<float>(all), twins.blank_of<float>(all)});
    Outputs& to = outputs.back();
    const auto chunks = twins.of(one.chunks_there(twins));
    const auto q = twins.of(one.q);
    zs::RowsTask task{};
    task.chunks = chunks.device;
    task.chunk_count = static_cast<int32_t>(one.pages.size());
    task.first_causal = one.first_causal;
    task.q_head = task.out_head = tokens * d;
    task.q_row = task.out_row = d;
    task.group = prompts.group;
    task.d = prompts.d;
    task.scale = prompts.scale;
    task.stat_stride = tokens;
    const int32_t most = zs::cuda::prefill_rows(prompts.group, prompts.d);
    const bool statistics = !random.one_in(8);
    for (int64_t row = 0; row < tokens; row += task.rows) {
      task.row = row;
      task.rows = static_cast<int32_t>(std::min<int64_t>(tokens - row, random.one_in(4) ? random.upto(1, most) : most));
      task.q = q.device + row * d;
      task.out = to.out.device + row * d;
      task.highest = statistics ? to.highest.device + row : nullptr;
      task.inverse = statistics ? to.inverse.device + row : nullptr;
      work.push_back(task);
    }
    one.attend(cpu_of(seed), prompts.scale, to.out.host.data(), to.highest.host.data(), to.inverse.host.data());
    if (!statistics) to.highest.host.clear();
  }

  const auto tasks = twins.of(work);
  zs::gpu::vary_order(seed);
  const auto number = static_cast<unsigned long long>(seed);
  const std::string what = zs::cuda::prefill(tasks.device, static_cast<int32_t>(work.size()), shape, {});
  if (!test::check(what.empty(), "case %llu: %s", number, what.c_str())) return;

  double worst = 0;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto same = [&](const char* name, const Twins::Twin<float>& twin) {
      std::vector<float> got(twin.host.size());
      zs::gpu::download(got.data(), twin.device, got.size() * sizeof(float));
      test::check(same_bits(got.data(), twin.host.data(), static_cast<int64_t>(got.size())),
                  "case %llu: %s are not those of the CPU (storage %d, floats %d, group %d, headDim %d, %d tokens)",
                  number, name, shape.storage, shape.floats, shape.group, shape.d, prompts.sequences[i].tokens);
      return got;
    };
    const std::vector<float> out = same("outputs", outputs[i].out);
    if (!outputs[i].highest.host.empty()) {
      const std::vector<float> inverse = same("inverse sums", outputs[i].inverse);
      std::vector<float> highest(inverse.size());
      zs::gpu::download(highest.data(), outputs[i].highest.device, highest.size() * sizeof(float));
      // Of what is no number the highest logit is any, on the CPU too.
      for (size_t n = 0; n < inverse.size(); ++n)
        if (std::isnan(inverse[n])) highest[n] = outputs[i].highest.host[n];
      test::check(same_bits(highest.data(), outputs[i].highest.host.data(), static_cast<int64_t>(highest.size())),
                  "case %llu: maxima are not those of the CPU", number);
    }
    if (prompts.wild) continue;
    // A row of each sequence.
    const Sequence& one = prompts.sequences[i];
    const int64_t row = random.upto(0, one.tokens - 1), g = random.upto(0, prompts.group - 1);
    const std::vector<double> expected = attended(one, static_cast<int32_t>(g), row, prompts.scale);
    for (int64_t x = 0; x < d; ++x) {
      const double error = std::fabs(static_cast<double>(out[(g * one.tokens + row) * d + x]) - expected[x]);
      if (!(error <= worst)) worst = error;
    }
  }
  // Of the largest value, 4: sums of what is that large are not known better.
  test::check(worst <= 4e-5, "case %llu: outputs are up to %g from those in double precision", number, worst);
}

}  // namespace

int main() {
  refusals([](int32_t group, int32_t d, int32_t storage) {
    return zs::cuda::prefill(nullptr, 1, {storage, false, group, d}, {});
  });
  return run_cases("prefill", one_case);
}
