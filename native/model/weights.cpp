#include "model/weights.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "core/error.h"
#include "model/packed.h"
#include "model/progress.h"

namespace zs {
namespace {

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

// How a tile is held: as the file has it where that is asked for and all of its rows are of one type, else exact in float32.
Packing packing_of(const Recipe& recipe, int64_t tile, int32_t weights) {
  if (weights == ZS_F32) return Packing::kF32;
  if (weights == ZS_BF16) return Packing::kBf16;
  const Tensor* first = nullptr;
  for (int64_t r = 0, within; r < kTile; ++r) {
    const Tensor* tensor = recipe.source(tile * kTile + r, within);
    if (first && tensor && tensor->type != first->type) return Packing::kF32;
    if (!first) first = tensor;
  }
  return zs::packing_of(first->type);
}

std::vector<Run> runs_of(const Recipe& recipe, int32_t weights) {
  std::vector<Run> runs;
  for (int64_t tile = 0; tile < recipe.matrix->tiles; ++tile) {
    const Packing packing = packing_of(recipe, tile, weights);
    if (runs.empty() || runs.back().packing != packing) runs.push_back({packing, tile, 0, nullptr});
    ++runs.back().tiles;
  }
  return runs;
}

[[noreturn]] void shrank(const ModelFile& file) {
  fail(ZS_IO, "%s could not be read to its end: it changed while it was loaded, or the disk failed; try again",
       file.path().c_str());
}

// One run of tiles; these are the pool's units.
void pack(zs_engine& engine, const Recipe& recipe, const Run& packed, uint8_t* data, zs_call* call) {
  const int64_t k = recipe.matrix->k;
  int64_t widest = 0;
  for (const Tensor* part : recipe.parts) widest = std::max(widest, part->row_bytes);
  const int64_t floats = kTile * k, raw = (kTile * widest + 3) / 4;
  std::vector<Buffer> scratch;
  for (int i = 0; i < engine.pool.threads(); ++i) scratch.emplace_back(floats + raw);
  std::atomic<const ModelFile*> failed{nullptr};
  const bool whole = engine.pool.run(packed.tiles, call, [&](int64_t tile, int thread) {
    if (failed.load(std::memory_order_relaxed)) return;
    float* rows = scratch[static_cast<size_t>(thread)].data();
    uint8_t* const bytes = reinterpret_cast<uint8_t*>(rows + floats);
    const uint8_t* from[kTile] = {};
    const Tensor* types[kTile] = {};
    const int64_t first = (packed.tile + tile) * kTile;
    uint8_t* at = bytes;
    for (int64_t r = 0; r < kTile;) {
      int64_t within = 0;
      const Tensor* tensor = recipe.source(first + r, within);
      int64_t run = 1;  // rows that lie side by side in the file
      for (int64_t next; tensor && r + run < kTile; ++run)
        if (recipe.source(first + r + run, next) != tensor || next != within + run) break;
      if (tensor && !tensor->file->read(tensor->offset + within * tensor->row_bytes, run * tensor->row_bytes, at)) {
        failed = tensor->file;
        return;
      }
      for (int64_t i = 0; i < run; ++i, ++r) {
        if (!tensor) continue;
        from[r] = at, types[r] = tensor;
        at += tensor->row_bytes;
      }
    }
    pack_tile(packed.packing, k, from, types, rows, data + tile * tile_bytes(packed.packing, k));
  });
  if (failed) shrank(*failed);
  if (!whole) check_abort(call);
}

}  // namespace

Weights load_weights(zs_engine& engine, const zs_model_config& config, const Tensors& tensors, zs_call* call) {
  Weights weights;
  weights.layers.resize(static_cast<size_t>(config.layers));
  const std::vector<Recipe> recipes = matrices(weights, tensors, config.tied_output);
  const std::vector<NormRecipe> vectors = norms(weights, tensors);
  int64_t bytes = 0;
  uint64_t layout = 0;
  std::vector<int64_t> places;
  const auto place = [&](int64_t size, int64_t what) {
    places.push_back(bytes);
    bytes += (size + 63) / 64 * 64;
    for (const int64_t one : {size, what}) layout = layout * 0x9e3779b97f4a7c15u + static_cast<uint64_t>(one);
  };
  for (const Recipe& recipe : recipes) {
    Matrix& matrix = *recipe.matrix;
    matrix.k = (recipe.parts[0]->inputs + kInputStep - 1) / kInputStep * kInputStep;
    matrix.tiles = (recipe.rows() + kTile - 1) / kTile;
    matrix.runs = runs_of(recipe, config.weights);
    for (const Run& run : matrix.runs)
      place(run.tiles * tile_bytes(run.packing, matrix.k), static_cast<int64_t>(run.packing));
  }
  for (const NormRecipe& one : vectors) place(one.tensor->inputs * 4, -1);
  weights.bytes = bytes;

  const std::string packed = config.packed ? config.packed : "";
  weights.memory = PackedMemory::open(packed, bytes, layout, engine.pool, call);
  const bool there = weights.memory.data();
  if (!there) weights.memory = PackedMemory::make(packed, bytes, layout);
  uint8_t* base = weights.memory.data();
  size_t next = 0;
  report(call, 0, bytes);
  for (const Recipe& recipe : recipes)
    for (Run& run : recipe.matrix->runs) {
      uint8_t* const data = base + places[next++];
      run.data = data;
      if (there) continue;
      pack(engine, recipe, run, data, call);
      report(call, places[next], bytes);  // there is always a norm behind the last matrix
    }
  for (const NormRecipe& one : vectors) {
    *one.place = reinterpret_cast<float*>(base + places[next++]);
    if (there) continue;
    std::vector<uint8_t> raw(static_cast<size_t>(one.tensor->row_bytes));
    const ModelFile& file = *one.tensor->file;
    if (!file.read(one.tensor->offset, one.tensor->row_bytes, raw.data())) shrank(file);
    dequantize(one.tensor->type, raw.data(), one.tensor->inputs, *one.place);
  }
  check_abort(call);
  if (!there) weights.memory.save(engine.pool, call);
  if (config.tied_output) weights.output = weights.embedding;
  report(call, bytes, bytes);
  return weights;
}

int64_t Matrix::bytes() const {
  int64_t sum = 0;
  for (const Run& run : runs) sum += run.tiles * tile_bytes(run.packing, k);
  return sum;
}

void Matrix::row(int64_t output, int64_t inputs, float* to) const {
  const int64_t tile = output / kTile;
  each_run(tile, 1, [&](const Run& run, int64_t, int64_t) {
    unpack_lane(run.packing, run.at(tile, k), output % kTile, inputs, to);
  });
}

}  // namespace zs
