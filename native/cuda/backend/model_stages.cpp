// A token's stages, where all of them are one launch: those of the launches in model.cpp and layer.cpp.
#include <algorithm>

#include "cuda/backend/model.h"

namespace zs::cuda {

bool GpuModel::prepare_whole() {
  const Layer& one = layers_[0];
  const int64_t k = std::max({one.qkv.k, one.attention_output.k, one.gate_up.k, one.down.k, output().k});
  const int64_t bytes = one.qkv.bytes() + one.attention_output.bytes() + one.gate_up.bytes() + one.down.bytes();
  return whole_.prepare(lists_, k, bytes, [&](Stages& all) { list_stages(all); });
}

void GpuModel::list_stages(Stages& all) {
  const In given = in(as<char>(in_));
  const auto product = [&](const Matrix& w, const float* x, const float* norm, Then then, float* y) {
    ProductStage stage{};
    stage.w = w;
    stage.x = x;
    stage.norm = norm;
    stage.n = shape_.hidden;
    stage.eps = shape_.norm_eps;
    stage.then = then;
    stage.y = y;
    return stage;
  };
  all.add(Embed{given.id, embedding_.data, embedding_.k, shape_.storage, shape_.hidden, residual(), layers_[0].qkv.k});
  for (int32_t l = 0; l < shape_.layers; ++l) {
    const Layer& w = layers_[static_cast<size_t>(l)];
    const HeadStages& heads = whole_.heads(l);
    const DeviceRows to = rows(l);
    ProductStage project = product(w.qkv, residual(), w.attention_norm, Then::kStore, to.q.data);
    project.appends = heads.appends;
    project.heads = shape_.heads;
    project.kv_heads = shape_.kv_heads;
    project.d = shape_.d;
    project.pairs = shape_.pairs;
    project.angles = given.angles;
    all.add(project);
    all.add(heads.decode);
    all.add(heads.upkeep);
    all.add(product(w.attention_output, to.out.data, nullptr, Then::kAdd, residual()));
    all.add(product(w.gate_up, residual(), w.feed_forward_norm, Then::kActivate, as<float>(active_)));
    all.add(product(w.down, as<float>(active_), nullptr, Then::kAdd, residual()));
  }
  if (lists_.back()) all.add(product(output(), residual(), output_norm_, Then::kStore, out(as<char>(out_)).logits));
}

}  // namespace zs::cuda
