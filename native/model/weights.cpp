#include "model/weights.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstring>

#include "core/error.h"
#include "model/progress.h"

namespace zs {
namespace {

constexpr int64_t kHugePage = int64_t{1} << 21;

// Where the rows of a packed matrix come from: tensors in turn, row by row, or two by two tiles where they are interleaved.
struct Recipe {
  Matrix* matrix;
  std::vector<const Tensor*> parts;
  bool interleaved;

  int64_t rows() const {
    int64_t sum = 0;
    for (const Tensor* part : parts) sum += interleaved ? (part->rows + kTile - 1) / kTile * kTile : part->rows;
    return sum;
  }
  // The tensor and its row that row `row` is made of; nullptr = zeros.
  const Tensor* source(int64_t row, int64_t& within) const {
    if (interleaved) {
      const int64_t tile = row / kTile, count = static_cast<int64_t>(parts.size());
      const Tensor* part = parts[static_cast<size_t>(tile % count)];
      within = tile / count * kTile + row % kTile;
      return within < part->rows ? part : nullptr;
    }
    within = row;
    for (const Tensor* part : parts) {
      if (within < part->rows) return part;
      within -= part->rows;
    }
    return nullptr;
  }
};

struct NormRecipe {
  float** place;
  const Tensor* tensor;
};

std::vector<Recipe> matrices(Weights& weights, const Tensors& tensors, bool tied) {
  std::vector<Recipe> all{{&weights.embedding, {&tensors.at(Part::kEmbedding)}, false}};
  if (!tied) all.push_back({&weights.output, {&tensors.at(Part::kOutput)}, false});
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    const auto part = [&](Part p) { return &tensors.at(p, static_cast<int64_t>(i)); };
    LayerWeights& layer = weights.layers[i];
    all.push_back({&layer.qkv, {part(Part::kQuery), part(Part::kKey), part(Part::kValue)}, false});
    all.push_back({&layer.attention_output, {part(Part::kAttentionOutput)}, false});
    all.push_back({&layer.gate_up, {part(Part::kGate), part(Part::kUp)}, true});
    all.push_back({&layer.down, {part(Part::kDown)}, false});
  }
  return all;
}

std::vector<NormRecipe> norms(Weights& weights, const Tensors& tensors) {
  std::vector<NormRecipe> all{{&weights.output_norm, &tensors.at(Part::kOutputNorm)}};
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    all.push_back({&weights.layers[i].attention_norm, &tensors.at(Part::kAttentionNorm, static_cast<int64_t>(i))});
    all.push_back({&weights.layers[i].feed_forward_norm, &tensors.at(Part::kFeedForwardNorm, static_cast<int64_t>(i))});
  }
  return all;
}

// 16 rows of `k` floats into one packed tile.
void pack_tile(const float* rows, int64_t k, bool bf16, void* tile) {
  if (bf16) {
    uint16_t* to = static_cast<uint16_t*>(tile);
    for (int64_t i = 0; i < k; i += 2)
      for (int64_t r = 0; r < kTile; ++r, to += 2) {
        to[0] = to_bf16(rows[r * k + i]);
        to[1] = to_bf16(rows[r * k + i + 1]);
      }
  } else {
    float* to = static_cast<float*>(tile);
    for (int64_t i = 0; i < k; ++i)
      for (int64_t r = 0; r < kTile; ++r) *to++ = rows[r * k + i];
  }
}

[[noreturn]] void shrank(const ModelFile& file) {
  fail(ZS_IO, "%s could not be read to its end: it changed while it was loaded, or the disk failed; try again",
       file.path().c_str());
}

// One matrix; tiles are the pool's units.
void pack(zs_engine& engine, const Recipe& recipe, zs_call* call) {
  const Matrix& matrix = *recipe.matrix;
  int64_t widest = 0;
  for (const Tensor* part : recipe.parts) widest = std::max(widest, part->row_bytes);
  const int64_t floats = kTile * matrix.k, raw = (kTile * widest + 3) / 4;
  std::vector<Buffer> scratch;
  for (int i = 0; i < engine.pool.threads(); ++i) scratch.emplace_back(floats + raw);
  std::atomic<const ModelFile*> failed{nullptr};
  const bool whole = engine.pool.run(matrix.tiles, call, [&](int64_t tile, int thread) {
    if (failed.load(std::memory_order_relaxed)) return;
    float* rows = scratch[static_cast<size_t>(thread)].data();
    uint8_t* bytes = reinterpret_cast<uint8_t*>(rows + floats);
    for (int64_t r = 0; r < kTile;) {
      int64_t within = 0;
      const Tensor* tensor = recipe.source(tile * kTile + r, within);
      int64_t run = 1;  // rows that lie side by side in the file
      for (int64_t next; tensor && r + run < kTile; ++run)
        if (recipe.source(tile * kTile + r + run, next) != tensor || next != within + run) break;
      if (tensor && !tensor->file->read(tensor->offset + within * tensor->row_bytes, run * tensor->row_bytes, bytes)) {
        failed = tensor->file;
        return;
      }
      for (int64_t i = 0; i < run; ++i, ++r) {
        float* row = rows + r * matrix.k;
        const int64_t inputs = tensor ? tensor->inputs : 0;
        if (tensor) dequantize(tensor->type, bytes + i * tensor->row_bytes, inputs, row);
        std::fill(row + inputs, row + matrix.k, 0.0f);
      }
    }
    pack_tile(rows, matrix.k, matrix.bf16, const_cast<void*>(matrix.tile(tile)));
  });
  if (failed) shrank(*failed);
  if (!whole) check_abort(call);
}

void* huge_memory(int64_t bytes) {
  const int64_t step = bytes >= kHugePage ? kHugePage : 64, whole = (bytes + step - 1) / step * step;
  void* memory = std::aligned_alloc(static_cast<size_t>(step), static_cast<size_t>(whole));
  if (!memory) throw std::bad_alloc();
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (step == kHugePage)
    madvise(memory, static_cast<size_t>(whole), MADV_HUGEPAGE);  // faster where granted, right where not
#endif
  return memory;
}

}  // namespace

Weights load_weights(zs_engine& engine, const zs_model_config& config, const Tensors& tensors, zs_call* call) {
  Weights weights;
  weights.layers.resize(static_cast<size_t>(config.layers));
  const std::vector<Recipe> recipes = matrices(weights, tensors, config.tied_output);
  const std::vector<NormRecipe> vectors = norms(weights, tensors);
  int64_t bytes = 0;
  std::vector<int64_t> places;
  const auto place = [&](int64_t size) {
    places.push_back(bytes);
    bytes += (size + 63) / 64 * 64;
  };
  for (const Recipe& recipe : recipes) {
    recipe.matrix->k = (recipe.parts[0]->inputs + kInputStep - 1) / kInputStep * kInputStep;
    recipe.matrix->tiles = (recipe.rows() + kTile - 1) / kTile;
    recipe.matrix->bf16 = config.weights == ZS_BF16;
    place(recipe.matrix->tiles * recipe.matrix->tile_bytes());
  }
  for (const NormRecipe& one : vectors) place(one.tensor->inputs * 4);
  weights.memory.reset(huge_memory(bytes));
  weights.bytes = bytes;

  char* base = static_cast<char*>(weights.memory.get());
  size_t next = 0;
  report(call, 0, bytes);
  for (const Recipe& recipe : recipes) {
    recipe.matrix->data = base + places[next++];
    pack(engine, recipe, call);
    report(call, places[next], bytes);  // there is always a norm behind the last matrix
  }
  for (const NormRecipe& one : vectors) {
    *one.place = reinterpret_cast<float*>(base + places[next++]);
    std::vector<uint8_t> raw(static_cast<size_t>(one.tensor->row_bytes));
    const ModelFile& file = *one.tensor->file;
    if (!file.read(one.tensor->offset, one.tensor->row_bytes, raw.data())) shrank(file);
    dequantize(one.tensor->type, raw.data(), one.tensor->inputs, *one.place);
  }
  check_abort(call);
  if (config.tied_output) weights.output = weights.embedding;
  report(call, bytes, bytes);
  return weights;
}

void Matrix::row(int64_t output, int64_t inputs, float* to) const {
  const int64_t lane = output % kTile;
  if (bf16) {
    const uint16_t* from = static_cast<const uint16_t*>(tile(output / kTile)) + 2 * lane;
    for (int64_t i = 0; i < inputs; ++i) to[i] = from_bf16(from[(i >> 1) * 2 * kTile + (i & 1)]);
  } else {
    const float* from = static_cast<const float*>(tile(output / kTile)) + lane;
    for (int64_t i = 0; i < inputs; ++i) to[i] = from[i * kTile];
  }
}

void Matrix::unpack(int64_t output, void* to) const {
  const int64_t lane = output % kTile;
  if (!bf16) return row(output, k, static_cast<float*>(to));
  const uint16_t* from = static_cast<const uint16_t*>(tile(output / kTile)) + 2 * lane;
  for (int64_t i = 0; i < k; ++i) static_cast<uint16_t*>(to)[i] = from[(i >> 1) * 2 * kTile + (i & 1)];
}

}  // namespace zs
