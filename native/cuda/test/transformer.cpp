// What a layer does with rows beside attention and products, as emulated, beside native/cpu bit for bit: embeddings, norms, rotations,
// activations; and of logits the likeliest token and ln(sum exp). Rows are narrow, wide, and just beside what a warp and a block take.
#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/linear.h"
#include "cuda/logits.h"
#include "cuda/rows.h"
#include "cuda/test/twins.h"

namespace {

using namespace zs::twins;
using test::Random;
using zs::round_up;

constexpr int32_t kStorages[] = {ZS_F32, ZS_F16, ZS_BF16};
const zs::LinearKernels& cpu() { return *zs::linear_kernels(ZS_ISA_GENERIC); }
int64_t element_of(int32_t storage) { return storage == ZS_F32 ? 4 : 2; }

struct Case {
  Random random;
  unsigned long long number;
  int32_t rows;
  bool wild;  // infinities and numbers that are none
  Twins twins;

  explicit Case(uint64_t seed) : random(seed), number(seed) {
    rows = random.one_in(2) ? 1 : random.upto(2, 4);
    wild = random.one_in(8);
  }
  int width() {
    constexpr int kEdges[] = {1, 2, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 255, 256, 257, 576};
    return random.one_in(2) ? random.of(kEdges) : random.upto(1, 700);
  }
  std::vector<float> numbers(int64_t count, float size) {
    constexpr float kOdd[] = {NAN, INFINITY, -INFINITY, 1e-40f, -0.0f, 3e38f};
    std::vector<float> x(static_cast<size_t>(count));
    for (float& one : x) one = size * random.element();
    if (wild)
      for (float& one : x)
        if (random.one_in(16)) one = random.of(kOdd);
    return x;
  }
  bool launched(const std::string& what) { return test::check(what.empty(), "case %llu: %s", number, what.c_str()); }
  // `expected`, rounded to `storage`, is what lies in device memory.
  void same(const char* name, const unsigned char* device, const std::vector<float>& expected, int32_t storage) {
    Bytes got(expected.size() * static_cast<size_t>(element_of(storage)));
    zs::gpu::download(got.data(), device, got.size());
    Bytes want(got.size());
    std::vector<float> a, b;
    for (size_t i = 0; i < expected.size(); ++i) {
      put(want, static_cast<int64_t>(i), expected[i], storage);
      a.push_back(static_cast<float>(get(got, static_cast<int64_t>(i), storage)));
      b.push_back(static_cast<float>(get(want, static_cast<int64_t>(i), storage)));
    }
    test::check(same_bits(a.data(), b.data(), static_cast<int64_t>(a.size())),
                "case %llu: %s are not those of the CPU (storage %d)", number, name, storage);
  }
};

void embeddings(Case& c) {
  const int32_t storage = c.random.of(kStorages), n = c.width(), vocabulary = c.random.upto(1, 40);
  const int64_t weights_stride = n + c.random.upto(0, 8), stride = round_up(n, 32);
  Bytes weights(static_cast<size_t>(vocabulary * weights_stride * element_of(storage)));
  for (int64_t i = 0; i < vocabulary * weights_stride; ++i) put(weights, i, c.random.element(), storage);
  std::vector<int32_t> ids;
  std::vector<float> expected(static_cast<size_t>(c.rows * stride));
  for (int32_t r = 0; r < c.rows; ++r) {
    ids.push_back(c.random.upto(0, vocabulary - 1));
    for (int32_t i = 0; i < n; ++i)
      expected[static_cast<size_t>(r * stride + i)] =
          static_cast<float>(get(weights, ids.back() * weights_stride + i, storage));
  }
  auto* const x = c.twins.of(Bytes(expected.size() * 4, 0xab)).device;
  const zs::cuda::Embed embed{c.twins.of(ids).device,
                              c.twins.of(weights).device,
                              weights_stride,
                              storage,
                              n,
                              reinterpret_cast<float*>(x),
                              stride};
  if (c.launched(zs::cuda::embed(embed, c.rows, {}))) c.same("embeddings", x, expected, ZS_F32);
}

void norms(Case& c) {
  const int32_t storage = c.random.of(kStorages), n = c.width();
  const int64_t x_stride = round_up(n, 4) + 4 * c.random.upto(0, 3), y_stride = round_up(n, 32);
  const std::vector<float> x = c.numbers(c.rows * x_stride, c.random.one_in(4) ? 1000 : 2), weight = c.numbers(n, 2);
  const float eps = c.random.one_in(4) ? 0 : 1e-5f;
  std::vector<float> expected(static_cast<size_t>(c.rows * y_stride));
  for (int32_t r = 0; r < c.rows; ++r)
    cpu().rms_norm(x.data() + r * x_stride, weight.data(), n, eps, expected.data() + r * y_stride);
  auto* const y = c.twins.of(Bytes(expected.size() * static_cast<size_t>(element_of(storage)), 0xab)).device;
  const zs::cuda::RmsNorm norm{c.twins.of(x).device, x_stride, c.twins.of(weight).device, n, eps, storage, y, y_stride};
  if (c.launched(zs::cuda::rms_norm(norm, c.rows, {}))) c.same("norms", y, expected, storage);
}

void rotations(Case& c) {
  const int32_t heads = c.random.upto(1, 9), d = 2 * c.random.upto(1, 64), positions = c.random.upto(1, 9);
  const int32_t pairs = c.random.one_in(2) ? d / 2 : c.random.upto(1, d / 2);
  const int64_t stride = round_up(heads * d, 4) + 4 * c.random.upto(0, 8);
  std::vector<float> x = c.numbers(c.rows * stride, 4);
  const std::vector<float> angles = c.numbers(int64_t{2} * positions * pairs, 1);
  std::vector<int32_t> at;
  const auto twin = c.twins.of(x);
  for (int32_t r = 0; r < c.rows; ++r) {
    at.push_back(c.random.upto(0, positions - 1));
    cpu().rope(x.data() + r * stride, angles.data() + int64_t{2} * at.back() * pairs, heads, d, pairs);
  }
  const zs::cuda::Rotate rotate{twin.device, stride, heads, d, pairs, c.twins.of(angles).device, c.twins.of(at).device};
  if (c.launched(zs::cuda::rotate(rotate, c.rows, {})))
    c.same("rotations", reinterpret_cast<unsigned char*>(twin.device), x, ZS_F32);
}

void activations(Case& c) {
  const int32_t storage = c.random.of(kStorages), tiles = c.random.upto(1, 20);
  const int64_t from = 2 * tiles * zs::kLane, to = tiles * zs::kLane;
  const std::vector<float> gate_up = c.numbers(c.rows * from, c.random.one_in(4) ? 200 : 4);
  std::vector<float> expected(static_cast<size_t>(c.rows * to));
  for (int32_t r = 0; r < c.rows; ++r) cpu().swiglu(gate_up.data() + r * from, tiles, expected.data() + r * to);
  auto* const y = c.twins.blank_of<unsigned char>(expected.size() * static_cast<size_t>(element_of(storage))).device;
  const zs::cuda::Activate activate{c.twins.of(gate_up).device, from, tiles, storage, y, to};
  if (c.launched(zs::cuda::activate(activate, c.rows, {}))) c.same("activations", y, expected, storage);
}

void narrowings(Case& c) {
  const int32_t storage = c.random.of(kStorages), n = c.width();
  const int64_t from = n + c.random.upto(0, 8);
  const std::vector<float> x = c.numbers(c.rows * from, c.random.one_in(4) ? 1e5f : 4);
  std::vector<float> expected;
  for (int32_t r = 0; r < c.rows; ++r) expected.insert(expected.end(), x.begin() + r * from, x.begin() + r * from + n);
  auto* const y = c.twins.blank_of<unsigned char>(expected.size() * static_cast<size_t>(element_of(storage))).device;
  const zs::cuda::Narrow narrow{c.twins.of(x).device, from, n, storage, y, n};
  if (c.launched(zs::cuda::narrow(narrow, c.rows, {}))) c.same("rounded rows", y, expected, storage);
}

void logits(Case& c) {
  const int32_t count = c.random.one_in(4) ? c.random.upto(1, 3000) : c.width();
  const int64_t stride = round_up(count, 16);
  std::vector<float> x = c.numbers(c.rows * stride, 20);
  if (c.random.one_in(2))  // many equals
    for (float& one : x) one = std::round(one / 4);
  if (c.random.one_in(16)) std::fill(x.begin(), x.end(), -std::numeric_limits<float>::infinity());
  auto summaries = c.twins.blank_of<zs::cuda::LogitsSummary>(static_cast<size_t>(c.rows));
  if (!c.launched(zs::cuda::summarize_logits(c.twins.of(x).device, stride, count, summaries.device, c.rows, {})))
    return;
  zs::gpu::download(summaries.host.data(), summaries.device, summaries.host.size() * sizeof(summaries.host[0]));
  for (int32_t r = 0; r < c.rows; ++r) {
    const float* const row = x.data() + r * stride;
    const auto& got = summaries.host[static_cast<size_t>(r)];
    const auto largest = static_cast<int32_t>(cpu().first_largest(row, count));
    test::check(got.first_largest == largest, "case %llu: token %d is the likeliest; the CPU has %d", c.number,
                got.first_largest, largest);
    const double lse = zs::cuda::log_sum_exp(got), expected = cpu().log_sum_exp(row, count);
    test::check(std::isnan(expected) ? std::isnan(lse) : lse == expected || std::fabs(lse - expected) <= 1e-11,
                "case %llu: ln(sum exp) is %.17g, the CPU has %.17g", c.number, lse, expected);
  }
}

void one_case(uint64_t seed) {
  constexpr void (*kKernels[])(Case&) = {embeddings, norms, rotations, activations, narrowings, logits};
  Case c(seed);
  zs::gpu::vary_order(seed);
  kKernels[seed % 6](c);
}

void refusals() {
  const auto says = [](const std::string& said, const char* what) {
    test::check(said.find(what) != std::string::npos, "expected \"%s\", got \"%s\"", what, said.c_str());
  };
  says(zs::cuda::embed({nullptr, nullptr, 1, 7, 1, nullptr, 1}, 1, {}), "embed on the GPU does not know storage 7");
  says(zs::cuda::rms_norm({nullptr, 4, nullptr, 0, 0, ZS_F32, nullptr, 4}, 1, {}), "1 to 32768 values, not 0");
  says(zs::cuda::rms_norm({nullptr, 40000, nullptr, 40000, 0, ZS_F32, nullptr, 4}, 1, {}), "not 40000");
  says(zs::cuda::rms_norm({nullptr, 6, nullptr, 6, 0, ZS_F32, nullptr, 6}, 1, {}),
       "a multiple of 4 values apart, not 6");
  says(zs::cuda::rms_norm({nullptr, 4, nullptr, 4, 0, 7, nullptr, 4}, 1, {}), "does not know storage 7");
  says(zs::cuda::rotate({nullptr, 4, 1, 4, 3, nullptr, nullptr}, 1, {}), "not 4 and 3");
  says(zs::cuda::rotate({nullptr, 4, 1, 3, 1, nullptr, nullptr}, 1, {}), "an even headDim");
  says(zs::cuda::activate({nullptr, 32, 1, 7, nullptr, 16}, 1, {}), "activate on the GPU does not know storage 7");
  says(zs::cuda::narrow({nullptr, 32, 32, 7, nullptr, 32}, 1, {}), "narrow on the GPU does not know storage 7");
  says(zs::cuda::summarize_logits(nullptr, 4, 0, nullptr, 1, {}), "at least one logit, not 0");
}

}  // namespace

int main() {
  refusals();
  return run_cases("transformer", one_case);
}
