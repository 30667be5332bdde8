// The words of gpu.h, emulated or on a GPU: what each must give by CUDA's manual, and our exponential as it was recorded once, so that CPU,
// emulation and GPU can be told apart from each other.
#include "cuda/test/words.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "test/check.h"

namespace {

template <class T>
std::vector<T> back(const void* memory, size_t count) {
  std::vector<T> values(count);
  zs::gpu::download(values.data(), memory, count * sizeof(T));
  return values;
}

void exchanges() {
  constexpr int kThreads = zs::words::kThreads;
  auto* out = static_cast<int*>(zs::gpu::allocate(8 * kThreads * sizeof(int)));
  const std::string what = zs::words::exchanges(out, {});
  if (!test::check(what.empty(), "exchanges: %s", what.c_str())) return;
  const auto got = back<int>(out, 8 * kThreads);
  for (int t = 0; t < kThreads; ++t) {
    const int warp = t / 32 * 32;
    unsigned ballot = 0;
    for (int lane = 0; lane < 32; ++lane) ballot |= ((warp + lane) % 3 == 0 ? 1u : 0u) << lane;
    const int expected[] = {warp + 5,
                            t ^ 3,
                            t % 16 + 4 < 16 ? t + 4 : t,
                            static_cast<int>(ballot),
                            kThreads,
                            kThreads - 1 - t,
                            kThreads - 1 - (t ^ 1),
                            (t & 1) + (t >> 1 & 1) + (t >> 2 & 1) + (t >> 3 & 1) + (t >> 4 & 1) + (t >> 5 & 1)};
    for (int i = 0; i < 8; ++i)
      test::check(got[i * kThreads + t] == expected[i], "word %d, thread %d: %d, expected %d", i, t,
                  got[i * kThreads + t], expected[i]);
  }
  zs::gpu::release(out);
}

void copies() {
  constexpr size_t kFloats = 4 * zs::words::kThreads;
  std::vector<float> in;
  for (size_t i = 0; i < kFloats; ++i) in.push_back(static_cast<float>(i) + 0.5f);
  auto* from = static_cast<float*>(zs::gpu::allocate(kFloats * sizeof(float)));
  auto* to = static_cast<float*>(zs::gpu::allocate(kFloats * sizeof(float)));
  zs::gpu::upload(from, in.data(), kFloats * sizeof(float));
  const std::string what = zs::words::copies(from, to, {});
  if (test::check(what.empty(), "copies: %s", what.c_str()))
    test::check(back<float>(to, kFloats) == in, "asynchronous copies bring other numbers");
  zs::gpu::upload(to, std::vector<float>(kFloats).data(), kFloats * sizeof(float));
  const std::string wide = zs::words::wides(from, to, {});
  if (test::check(wide.empty(), "wide accesses: %s", wide.c_str()))
    test::check(back<float>(to, kFloats) == in, "wide accesses bring other numbers");
  zs::gpu::release(from);
  zs::gpu::release(to);
}

void together() {
  constexpr int kThreads = zs::words::kThreads, kRounds = 5;
  int blocks = 0;
  std::string what = zs::words::most_passed_on(blocks);
  if (!test::check(what.empty() && blocks > 1, "%d blocks can wait for each other: %s", blocks, what.c_str())) return;
  const size_t count = static_cast<size_t>(blocks) * kThreads;
  auto* numbers = static_cast<int*>(zs::gpu::allocate(count * sizeof(int)));
  auto* out = static_cast<int*>(zs::gpu::allocate(count * sizeof(int)));
  what = zs::words::passed_on(blocks, kRounds, numbers, out, {});
  if (test::check(what.empty(), "blocks that wait for each other: %s", what.c_str())) {
    const auto got = back<int>(out, count);
    int wrong = 0;
    for (int block = 0; block < blocks; ++block)
      for (int t = 0; t < kThreads; ++t) {
        const int from = (block + kRounds * (blocks - 1)) % blocks, place = kRounds % 2 ? kThreads - 1 - t : t;
        wrong += got[static_cast<size_t>(block * kThreads + t)] != from * kThreads + place + kRounds;
      }
    test::check(wrong == 0, "%d of %zu numbers that blocks passed on are others", wrong, count);
  }
  zs::gpu::release(numbers);
  zs::gpu::release(out);
}

void halves() {
  auto* out = static_cast<float*>(zs::gpu::allocate(65536 * sizeof(float)));
  const std::string what = zs::words::halves(out, {});
  if (!test::check(what.empty(), "halves: %s", what.c_str())) return;
  const auto got = back<float>(out, 65536);
  int wrong = 0;
  for (int i = 0; i < 65536; ++i) {
    const int exponent = i >> 10 & 31, mantissa = i & 1023;
    double x = exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24);
    if (exponent == 31) x = mantissa ? NAN : INFINITY;
    if (i & 0x8000) x = -x;
    const auto y = static_cast<double>(got[i]);
    if (!(std::isnan(x) ? std::isnan(y) : x == y && std::signbit(x) == std::signbit(y))) ++wrong;
  }
  test::check(wrong == 0, "%d of 65536 float16 are widened to other numbers", wrong);
  zs::gpu::release(out);
}

// FNV-1a over the bits, NaN as one.
uint64_t hash_of(const std::vector<float>& values) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const float x : values) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    if (std::isnan(x)) bits = 0x7fc00000u;
    for (int i = 0; i < 4; ++i) hash = (hash ^ (bits >> 8 * i & 255u)) * 0x100000001b3ull;
  }
  return hash;
}

// Of every 32767th float.
constexpr uint64_t kRecorded = 0xa8ac8b6ecb3426beull;

void exponentials() {
  constexpr int kCount = 1 << 17;
  auto* out = static_cast<float*>(zs::gpu::allocate(kCount * sizeof(float)));
  const std::string what = zs::words::exponentials(0, 32767, kCount, out, {});
  if (test::check(what.empty(), "exponentials: %s", what.c_str())) {
    const auto got = back<float>(out, kCount);
    double worst = 0;
    for (int i = 0; i < kCount; ++i) {
      const uint32_t bits = static_cast<uint32_t>(i) * 32767u;
      float x;
      std::memcpy(&x, &bits, 4);
      if (!(x >= -87.3f && x <= 88.3f)) continue;
      const double exact = std::exp(static_cast<double>(x)), error = std::fabs(static_cast<double>(got[i]) / exact - 1);
      if (!(error <= worst)) worst = error;
    }
    test::check(worst <= 1.2e-7, "exponentials are up to %g from exact ones", worst);
    test::check(hash_of(got) == kRecorded, "exponentials have the hash %#llx, recorded is %#llx",
                static_cast<unsigned long long>(hash_of(got)), static_cast<unsigned long long>(kRecorded));
  }
  zs::gpu::release(out);
}

}  // namespace

int main() {
  exchanges();
  copies();
  together();
  halves();
  exponentials();
  return test::finish("words");
}
