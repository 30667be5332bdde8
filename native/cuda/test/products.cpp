// Products of few rows, as emulated, beside native/cpu bit for bit, whatever the row count; those of many rows beside sums in double precision.
// Weights of all storages; outputs and inputs few, many, and just beside what a stage and a block take.
#include "cuda/products.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "cpu/linear.h"
#include "cuda/test/twins.h"
#include "cuda/tuning.h"

namespace {

using namespace zs::twins;
using test::Random;
using zs::kTile;
using zs::cuda::Then;

const zs::LinearKernels& cpu() { return *zs::linear_kernels(ZS_ISA_GENERIC); }
int64_t element_of(int32_t storage) { return storage == ZS_F32 ? 4 : 2; }

// Of all cases: plans are kept from one to the next.
std::unique_ptr<zs::cuda::Products> products;

// W x of a row by the CPU's product with one vector, which wants float32 weights as [tile][k][16].
std::vector<float> by_cpu(const Bytes& w, int32_t storage, int64_t outputs, int64_t k, const float* x) {
  std::vector<float> packed(static_cast<size_t>(outputs * k)), y(static_cast<size_t>(outputs));
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t i = 0; i < k; ++i)
      packed[static_cast<size_t>((o / kTile * k + i) * kTile + o % kTile)] =
          static_cast<float>(get(w, o * k + i, storage));
  cpu().multiply[static_cast<int>(zs::Packing::kF32)]({packed.data(), k, outputs / kTile, x, k, 1, y.data(), outputs});
  return y;
}

void one_case(uint64_t seed) {
  Random random(seed);
  constexpr int32_t kStorages[] = {ZS_F32, ZS_F16, ZS_BF16}, kInputs[] = {32, 64, 96, 128, 160, 256, 288, 512, 576};
  constexpr Then kThen[] = {Then::kStore, Then::kAdd, Then::kActivate};
  zs::cuda::Product p{};
  p.then = random.of(kThen);
  const int64_t step = p.then == Then::kActivate ? 2 * kTile : kTile;
  p.w.storage = random.of(kStorages);
  // Now and then so many that a block has twice as many tiles.
  const bool large = random.one_in(200);
  p.w.outputs = large ? zs::cuda::kManyOutputs + step * random.upto(0, 3) : step * random.upto(1, 5);
  p.w.k = large ? 32 : random.of(kInputs);
  p.rows = large || random.one_in(3) ? 1 : random.one_in(4) ? random.upto(9, 20) : random.upto(2, 8);
  const bool many = p.rows > zs::cuda::kFewRows, activates = p.then == Then::kActivate;
  const int64_t outputs = p.w.outputs, k = p.w.k, wide = activates ? outputs / 2 : outputs;
  const int32_t x_storage = zs::cuda::rows_storage(p.w, p.rows), y_storage = activates ? x_storage : ZS_F32;
  const bool wild = !many && random.one_in(16);
  p.y_stride = wide + 16 * random.upto(0, 2);

  Bytes w(static_cast<size_t>(outputs * k * element_of(p.w.storage)));
  for (int64_t i = 0; i < outputs * k; ++i) put(w, i, random.element(), p.w.storage);
  Bytes x(static_cast<size_t>(p.rows * k * element_of(x_storage)));
  for (int64_t i = 0; i < p.rows * k; ++i)
    put(x, i, wild && random.one_in(50) ? (random.one_in(2) ? INFINITY : NAN) : 4 * random.element(), x_storage);
  Bytes y(static_cast<size_t>(p.rows * p.y_stride * element_of(y_storage)));
  for (int64_t i = 0; i < p.rows * p.y_stride; ++i) put(y, i, random.element(), y_storage);

  Twins twins;
  const auto number = static_cast<unsigned long long>(seed);
  p.w.data = twins.of(w).device;
  p.x = twins.of(x).device;
  const auto there = twins.of(y);
  p.y = there.device;
  if (many && activates) p.scratch = twins.blank_of<float>(static_cast<size_t>(p.rows * outputs)).device;
  zs::gpu::vary_order(seed);
  if (many && !products->need_library().empty()) return;  // told by main
  const std::string what = products->multiply(p, {});
  if (!test::check(what.empty(), "case %llu: %s", number, what.c_str())) return;
  Bytes got(y.size());
  zs::gpu::download(got.data(), there.device, got.size());

  std::vector<float> row(static_cast<size_t>(k)), active(static_cast<size_t>(wide));
  double worst = 0;
  bool same = true, behind = true;
  for (int32_t r = 0; r < p.rows; ++r) {
    for (int64_t i = 0; i < k; ++i) row[static_cast<size_t>(i)] = static_cast<float>(get(x, r * k + i, x_storage));
    const int64_t at = r * p.y_stride;
    std::vector<float> expected = by_cpu(w, p.w.storage, outputs, k, row.data());
    if (many)
      for (int64_t o = 0; o < outputs; ++o) {
        double sum = 0;
        for (int64_t i = 0; i < k; ++i)
          sum += get(w, o * k + i, p.w.storage) * static_cast<double>(row[static_cast<size_t>(i)]);
        expected[static_cast<size_t>(o)] = static_cast<float>(sum);
      }
    if (activates) {
      cpu().swiglu(expected.data(), wide / kTile, active.data());
      expected = active;
    }
    for (int64_t o = 0; o < p.y_stride; ++o) {
      const auto value = static_cast<float>(get(got, at + o, y_storage)),
                 was = static_cast<float>(get(y, at + o, y_storage));
      if (o >= wide) {
        behind &= same_bits(&value, &was, 1);
        continue;
      }
      const float one = expected[static_cast<size_t>(o)], whole = p.then == Then::kAdd ? was + one : one;
      if (!many) {
        same &= same_bits(&value, &whole, 1);
        continue;
      }
      // In units of what the result is rounded to.
      const double fine = y_storage == ZS_F32   ? 1e-5
                          : y_storage == ZS_F16 ? 1e-3
                                                : 8e-3,
                   error = std::fabs(static_cast<double>(value) - static_cast<double>(whole)) /
                           (fine * std::max(1.0, std::fabs(static_cast<double>(whole))));
      if (!(error <= worst)) worst = error;
    }
  }
  test::check(behind, "case %llu: something is written behind the outputs", number);
  if (many)
    test::check(worst <= 1, "case %llu: a product of %d rows is %g times as far from the exact one as it may be",
                number, p.rows, worst);
  else
    test::check(same, "case %llu: a product is not that of the CPU (storage %d, %d rows, %lld inputs, %lld outputs)",
                number, p.w.storage, p.rows, static_cast<long long>(k), static_cast<long long>(outputs));
}

void refusals() {
  const auto says = [&](const zs::cuda::Product& product, const char* what) {
    const std::string said = products->multiply(product, {});
    test::check(said.find(what) != std::string::npos, "expected \"%s\", got \"%s\"", what, said.c_str());
  };
  says({{nullptr, ZS_F32, 16, 32}, nullptr, 0, Then::kStore, nullptr, 16}, "at least one row, not 0");
  says({{nullptr, ZS_F32, 15, 32}, nullptr, 1, Then::kStore, nullptr, 16}, "multiples of 16 and inputs of 32, not 15");
  says({{nullptr, ZS_F32, 16, 48}, nullptr, 1, Then::kStore, nullptr, 16}, "not 16 and 48");
  says({{nullptr, ZS_F32, 48, 32}, nullptr, 1, Then::kActivate, nullptr, 16},
       "multiples of 32 and inputs of 32, not 48");
  says({{nullptr, ZS_F32, 32, 32}, nullptr, 9, Then::kActivate, nullptr, 16}, "needs scratch");
  says({{nullptr, 7, 32, 32}, nullptr, 1, Then::kStore, nullptr, 32}, "does not know storage 7");
  zs::cuda::Cublaslt functions;
  const auto loads = [&](const char* library, const char* what) {
    const std::string said = zs::cuda::load_cublaslt(library, functions);
    test::check(said.find(what) != std::string::npos, "expected \"%s\", got \"%s\"", what, said.c_str());
  };
  loads("libnone.so.13", "name its file by ZSLAB_CUBLASLT");
  loads("libm.so.6", "is no cuBLASLt of CUDA 13: it lacks cublasLtCreate, cublasLtDestroy");
}

}  // namespace

int main() {
  products = std::make_unique<zs::cuda::Products>();
  refusals();
  const std::string missing = products->need_library();
  if (!missing.empty()) std::printf("  products of many rows: not run: %s\n", missing.c_str());
  const int result = run_cases("products", one_case);
  products.reset();
  return result;
}
