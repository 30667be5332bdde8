// Packed weights: every type of a model file as tiles and back, widened and multiplied by every instruction set, against the values that
// dequantize() gives, in double precision.
#include "model/packed.h"

#include <cmath>
#include <vector>

#include "core/half.h"
#include "core/kernels.h"
#include "cpu/linear.h"
#include "model/quants.h"
#include "test/check.h"
#include "zslab/model.h"

namespace {

using test::check;
using test::Random;
using zs::kTile;
using zs::Packing;

constexpr int32_t kTypes[] = {ZS_T_F32,  ZS_T_F16,  ZS_T_BF16, ZS_T_Q4_0, ZS_T_Q4_1, ZS_T_Q5_0,
                              ZS_T_Q5_1, ZS_T_Q8_0, ZS_T_Q4_K, ZS_T_Q5_K, ZS_T_Q6_K};

std::vector<const zs::LinearKernels*> all_kernels() {
  std::vector<const zs::LinearKernels*> all{zs::linear_kernels(ZS_ISA_GENERIC)};
  const zs::Cpu cpu = zs::detect_cpu();
  if (cpu.avx2) all.push_back(zs::linear_kernels(ZS_ISA_AVX2));
  if (cpu.avx512) all.push_back(zs::linear_kernels(ZS_ISA_AVX512));
  return all;
}

// Rows of a tensor as a file has them: any bits, or with scales whose weights are about as large as a model's.
struct Rows {
  int32_t type;
  int64_t inputs, rows;
  std::vector<uint8_t> bytes;
  std::vector<float> values;
  zs::Tensor tensor;

  Rows(Random& random, int32_t of, int64_t width, int64_t count, bool any) : type(of), inputs(width), rows(count) {
    const zs::BlockType& block = *zs::block_type(type);
    tensor.type = type, tensor.inputs = inputs, tensor.rows = rows;
    tensor.row_bytes = inputs / block.values * block.bytes;
    bytes.resize(static_cast<size_t>(rows * tensor.row_bytes));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.upto(0, 255));
    if (!any)
      for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(block.bytes)) tame(random, &bytes[at]);
    values.resize(static_cast<size_t>(rows * inputs));
    for (int64_t r = 0; r < rows; ++r) zs::dequantize(type, row(r), inputs, &values[static_cast<size_t>(r * inputs)]);
  }
  const uint8_t* row(int64_t r) const { return &bytes[static_cast<size_t>(r * tensor.row_bytes)]; }

 private:
  void tame(Random& random, uint8_t* block) const {
    const float value = random.element();
    const auto put = [&](size_t at, float x) {
      const uint16_t half = zs::f16_of(x);
      std::memcpy(block + at, &half, 2);
    };
    const float steps = zs::packing_of(type) >= Packing::kQ4_K ? 2000.0f : 64.0f;
    if (type == ZS_T_F32) return void(std::memcpy(block, &value, 4));
    if (type == ZS_T_F16) return put(0, value);
    if (type == ZS_T_BF16) {
      const uint16_t half = zs::bf16_of(value);
      return void(std::memcpy(block, &half, 2));
    }
    put(type == ZS_T_Q6_K ? 208 : 0, value / steps);
    if (zs::fields_of(zs::packing_of(type)).has_least) put(2, random.element() / steps);
  }
};

// The rows as tiles, the last one filled up with zeros.
std::vector<uint8_t> pack(const Rows& rows, Packing packing, int64_t k) {
  const int64_t tiles = (rows.rows + kTile - 1) / kTile, bytes = zs::tile_bytes(packing, k);
  std::vector<uint8_t> packed(static_cast<size_t>(tiles * bytes));
  std::vector<float> scratch(static_cast<size_t>(kTile * k));
  for (int64_t t = 0; t < tiles; ++t) {
    const uint8_t* from[kTile] = {};
    const zs::Tensor* of[kTile] = {};
    for (int64_t r = 0; r < kTile && t * kTile + r < rows.rows; ++r)
      from[r] = rows.row(t * kTile + r), of[r] = &rows.tensor;
    zs::pack_tile(packing, k, from, of, scratch.data(), &packed[static_cast<size_t>(t * bytes)]);
  }
  return packed;
}

int64_t padded(int64_t inputs) { return (inputs + zs::kInputStep - 1) / zs::kInputStep * zs::kInputStep; }
// Which NaN is not said.
bool same(float a, float b) { return std::isnan(a) ? std::isnan(b) : zs::bits_of(a) == zs::bits_of(b); }

void widened(Random& random, int32_t type, const std::vector<const zs::LinearKernels*>& kernels) {
  const int64_t block = zs::block_type(type)->values, inputs = block * random.upto(1, block == 1 ? 70 : 3),
                k = padded(inputs);
  const Rows rows(random, type, inputs, random.upto(1, 35), random.one_in(2));
  const Packing packing = zs::packing_of(type);
  const std::vector<uint8_t> packed = pack(rows, packing, k);
  const int64_t tiles = (rows.rows + kTile - 1) / kTile;
  const char* const name = zs::packing_name(packing);
  check(static_cast<int64_t>(packed.size()) * block == tiles * kTile * k * zs::block_type(type)->bytes,
        "%s takes %zu bytes, not a file's", name, packed.size());
  std::vector<float> line(static_cast<size_t>(inputs));
  int wrong = 0;
  for (int64_t r = 0; r < rows.rows; ++r) {
    zs::unpack_lane(packing, &packed[static_cast<size_t>(r / kTile * zs::tile_bytes(packing, k))], r % kTile, inputs,
                    line.data());
    for (int64_t i = 0; i < inputs; ++i)
      wrong += !same(line[static_cast<size_t>(i)], rows.values[static_cast<size_t>(r * inputs + i)]);
  }
  check(!wrong, "%s: %d of %lld values come back otherwise", name, wrong, static_cast<long long>(rows.rows * inputs));
  for (size_t set = 0; set < kernels.size(); ++set) {
    std::vector<float> wide(static_cast<size_t>(tiles * k * kTile), 7.0f);
    kernels[set]->widen[static_cast<int>(packing)](packed.data(), k, tiles, wide.data());
    wrong = 0;
    for (int64_t r = 0; r < tiles * kTile; ++r)
      for (int64_t i = 0; i < k; ++i) {
        const float expected = r < rows.rows && i < inputs ? rows.values[static_cast<size_t>(r * inputs + i)] : 0;
        const float given = wide[static_cast<size_t>((r / kTile * k + i) * kTile + r % kTile)];
        wrong += expected == 0 ? !(given == 0) : !same(given, expected);
      }
    check(!wrong, "%s: set %zu widens %d of %lld values otherwise", name, set, wrong,
          static_cast<long long>(tiles * k * kTile));
  }
}

void multiplied(Random& random, int32_t type, const std::vector<const zs::LinearKernels*>& kernels) {
  const int64_t block = zs::block_type(type)->values, inputs = block * random.upto(1, block == 1 ? 130 : 4),
                k = padded(inputs);
  const Rows rows(random, type, inputs, random.upto(1, 50), false);
  const Packing packing = zs::packing_of(type);
  const std::vector<uint8_t> packed = pack(rows, packing, k);
  const int64_t tiles = (rows.rows + kTile - 1) / kTile, count = random.upto(1, 24);
  std::vector<float> x(static_cast<size_t>(count * k));
  const float size =
      random.one_in(8) ? 1e-36f : 1.0f;  // also where what is turned to a field's place is below the normal numbers
  for (int64_t r = 0; r < count; ++r)
    for (int64_t i = 0; i < inputs; ++i) x[static_cast<size_t>(r * k + i)] = size * random.element();
  std::vector<float> first;
  for (size_t set = 0; set < kernels.size(); ++set) {
    const auto prepare = kernels[set]->prepare[static_cast<int>(packing)];
    const int64_t stride = prepare ? zs::prepared_row(k) : k;
    std::vector<float> given(x), y(static_cast<size_t>(count * tiles * kTile)), alone(y.size());
    if (prepare) {
      given.resize(static_cast<size_t>(count * stride));
      for (int64_t r = 0; r < count; ++r)
        prepare(&x[static_cast<size_t>(r * k)], k, &given[static_cast<size_t>(r * stride)]);
    }
    const auto multiply = kernels[set]->multiply[static_cast<int>(packing)];
    multiply({packed.data(), k, tiles, given.data(), stride, count, y.data(), tiles * kTile});
    for (int64_t r = 0; r < count; ++r)
      multiply({packed.data(), k, tiles, &given[static_cast<size_t>(r * stride)], stride, 1,
                &alone[static_cast<size_t>(r * tiles * kTile)], tiles * kTile});
    check(!std::memcmp(y.data(), alone.data(), y.size() * sizeof(float)),
          "%s: %d rows are not those one by one, set %zu", zs::packing_name(packing), static_cast<int>(count), set);
    if (set == 0) first = y;
    check(!std::memcmp(y.data(), first.data(), y.size() * sizeof(float)), "%s: set %zu has other bits",
          zs::packing_name(packing), set);
  }
  if (size < 1) return;
  // Against sums of absolute values, since sums of fields are as large as those before what is subtracted.
  double worst = 0;
  for (int64_t r = 0; r < count; ++r)
    for (int64_t o = 0; o < rows.rows; ++o) {
      double sum = 0, whole = 0, most = 0;
      for (int64_t i = 0; i < inputs; ++i) {
        const double w = static_cast<double>(rows.values[static_cast<size_t>(o * inputs + i)]);
        const double term = w * static_cast<double>(x[static_cast<size_t>(r * k + i)]);
        sum += term, most = std::max(most, std::abs(w)),
                     whole += std::abs(static_cast<double>(x[static_cast<size_t>(r * k + i)]));
      }
      const double error = std::abs(static_cast<double>(first[static_cast<size_t>(r * tiles * kTile + o)]) - sum);
      worst = std::max(worst, error / (most * whole + 1e-300));
    }
  check(worst <= 4e-7, "%s: products are off by %g of the largest weight times the inputs", zs::packing_name(packing),
        worst);
}

// A file's values in float32 and, rounded, in bfloat16.
void held_otherwise(Random& random, int32_t type) {
  const int64_t block = zs::block_type(type)->values, inputs = block * random.upto(1, 2), k = padded(inputs);
  const Rows rows(random, type, inputs, 5, false);
  for (const Packing packing : {Packing::kF32, Packing::kBf16}) {
    const std::vector<uint8_t> packed = pack(rows, packing, k);
    std::vector<float> line(static_cast<size_t>(inputs));
    for (int64_t r = 0; r < rows.rows; ++r) {
      zs::unpack_lane(packing, packed.data(), r, inputs, line.data());
      for (int64_t i = 0; i < inputs; ++i) {
        const float value = rows.values[static_cast<size_t>(r * inputs + i)];
        const float expected = packing == Packing::kF32 ? value : zs::of_bf16(zs::bf16_of(value));
        check(same(line[static_cast<size_t>(i)], expected), "type %d held as %s has another value", type,
              zs::packing_name(packing));
      }
    }
  }
}

}  // namespace

int main() {
  const std::vector<const zs::LinearKernels*> kernels = all_kernels();
  for (const int32_t type : kTypes)
    for (int seed = 1; seed <= test::cases(200, 40, 4); ++seed) {
      Random random(static_cast<uint64_t>(seed * 100 + type));
      widened(random, type, kernels);
      multiplied(random, type, kernels);
      held_otherwise(random, type);
    }
  return test::finish("packed");
}
