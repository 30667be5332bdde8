// Column sums, as emulated, beside native/cpu bit for bit: random prompts and turns (test/prompts.h), their own chunks and those before, with
// one decay or several at once that begin at any row, all storages, groups 1 to 8, rows that are no numbers, every order of threads.
#include <algorithm>
#include <vector>

#include "cuda/column_sums.h"
#include "cuda/test/prompts.h"

namespace {

using namespace zs::twins;
using test::Random;

void one_case(uint64_t seed) {
  Random random(seed);
  const Prompts prompts(random, true);
  zs::cuda::ColumnsShape shape = {prompts.storage, prompts.floats, prompts.group, prompts.d, 1};
  const int64_t d = prompts.d;
  const std::vector<float> decays = {1.0f, 0.5f, 0.0f, static_cast<float>(random.unit()), 0.99f};

  Twins twins;
  struct Work {
    zs::ColumnsTask here;
    std::vector<zs::Fade> fades;
    std::vector<Twins::Twin<float>> acc;
  };
  std::vector<Work> works;
  std::vector<std::vector<float>> statistics;  // highest and inverse of each sequence, of both [group][tokens]
  std::vector<zs::ColumnsTask> there;
  for (const Sequence& one : prompts.sequences) {
    const size_t all = static_cast<size_t>(prompts.group) * one.tokens;
    std::vector<float> out(all * d);
    statistics.emplace_back(2 * all);
    one.attend(cpu_of(seed), prompts.scale, out.data(), statistics.back().data(), statistics.back().data() + all);
    const auto told = twins.of(statistics.back());
    const float* const q = twins.of(one.q).device;
    const int32_t fades = random.one_in(4) ? random.upto(2, 6) : 1;
    shape.fades = std::max(shape.fades, fades);
    std::vector<int64_t> from;
    for (int32_t f = 0; f < fades; ++f) from.push_back(random.one_in(2) ? 0 : random.upto(0, one.tokens));
    const int64_t to = random.one_in(4) ? random.upto(0, one.tokens) : one.tokens;
    int64_t own = 0;
    for (size_t c = 0; c < one.pages.size(); ++c) {
      const Page& page = one.pages[c];
      works.emplace_back();
      Work& work = works.back();
      zs::ColumnsTask task{};
      task.chunk = page.here();
      task.causal = static_cast<int32_t>(c) >= one.first_causal;
      task.first = task.causal ? own : 0;
      if (task.causal) own += page.chunk.slots;
      task.to = to;
      task.fade_count = fades;
      task.q = one.q.data();
      task.q_head = one.tokens * d;
      task.q_row = d;
      task.group = prompts.group;
      task.d = prompts.d;
      task.scale = prompts.scale;
      task.highest = statistics.back().data();
      task.inverse = statistics.back().data() + all;
      task.stat_stride = one.tokens;
      std::vector<zs::Fade> fades_there;
      for (int32_t f = 0; f < fades; ++f) {
        std::vector<float> acc(static_cast<size_t>(zs::round_up(page.chunk.slots, zs::kLane)));
        for (float& x : acc) x = random.one_in(4) ? 0 : random.element();
        work.acc.push_back(twins.of(acc));
        fades_there.push_back({decays[random.next() % decays.size()], from[f], work.acc.back().device});
      }
      for (int32_t f = 0; f < fades; ++f) {
        work.fades.push_back(fades_there[f]);
        work.fades.back().acc = work.acc[f].host.data();
      }
      work.here = task;
      task.chunk = page.there(twins);
      task.chunk.values = nullptr;
      task.fades = twins.of(fades_there).device;
      task.q = q;
      task.highest = told.device;
      task.inverse = told.device + all;
      there.push_back(task);
    }
  }

  const auto tasks = twins.of(there);
  zs::gpu::vary_order(seed);
  const auto number = static_cast<unsigned long long>(seed);
  const std::string what = zs::cuda::columns(tasks.device, static_cast<int32_t>(there.size()), shape, {});
  if (!test::check(what.empty(), "case %llu: %s", number, what.c_str())) return;
  std::vector<float> scratch(static_cast<size_t>(zs::columns_scratch(prompts.d)));
  for (Work& work : works) {
    work.here.fades = work.fades.data();
    work.here.scratch = scratch.data();
    cpu_of(seed).columns(work.here);
    for (size_t f = 0; f < work.acc.size(); ++f) {
      std::vector<float> got(work.acc[f].host.size());
      zs::gpu::download(got.data(), work.acc[f].device, got.size() * sizeof(float));
      test::check(same_bits(got.data(), work.acc[f].host.data(), static_cast<int64_t>(got.size())),
                  "case %llu: sums are not those of the CPU (storage %d, floats %d, group %d, headDim %d, %d slots, "
                  "decay %zu of %zu)",
                  number, shape.storage, shape.floats, shape.group, shape.d, work.here.chunk.slots, f + 1,
                  work.acc.size());
    }
  }
}

void refusals() {
  const auto says = [](int32_t group, int32_t d, int32_t storage, int32_t fades, const char* what) {
    const std::string said = zs::cuda::columns(nullptr, 1, {storage, false, group, d, fades}, {});
    test::check(said.find(what) != std::string::npos, "expected \"%s\", got \"%s\"", what, said.c_str());
  };
  says(9, 64, ZS_F32, 1, "1 to 8 query heads");
  says(1, 258, ZS_F32, 1, "an even headDim of at most 256");
  says(1, 63, ZS_F32, 1, "an even headDim of at most 256");
  says(1, 64, ZS_F32, 9, "1 to 8 decays");
  says(1, 64, ZS_F32, 0, "1 to 8 decays");
  says(1, 64, 7, 1, "do not know storage 7");
}

}  // namespace

int main() {
  refusals();
  return run_cases("columns", one_case);
}
