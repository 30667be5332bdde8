// Projections that a model gives to the policy of a cache, whatever its weights are held as: LoRC on a model is that model with its
// projections cut, in double precision.
#include "test/tiny_model.h"

namespace {

using test::Cache;
using test::check;
using test::Engine;

// A model gives its own projections, whatever its weights are held as; caches of one policy share what is made of them.
void of_a_model() {
  const zs_model_config sizes = test::even_sizes();
  test::TinyModel tiny(sizes, 4);
  const Engine engine(2);
  const std::vector<int32_t> ids = test::some_ids(tiny, 50, 6);
  const auto whole = tiny.values;
  for (zs_storage weights : {ZS_F32, ZS_BF16}) {
    const test::Model model(engine, tiny, weights);
    test::CacheConfig full = tiny.cache_config(), c = full;
    c.policy.name = "lorc";
    c.policy.own = {{"rank", 0}, {"leastRank", 0}, {"keep", 0}, {"ramp", 2}};
    c.rotation = test::rotation_of(sizes.rope_dims, 10000);
    Cache a(engine, c), b(engine, full), again(engine, c);
    const auto x = model.forward(a, ids), y = model.forward(b, ids);
    double off = 0;
    for (size_t i = 0; i < x.size(); ++i)
      off = std::max(off, std::fabs(static_cast<double>(x[i]) - static_cast<double>(y[i])));
    check(off <= (weights == ZS_F32 ? 1e-4 : 5e-2), "full rank: logits are off by %g", off);
    check(test::same_bits(model.forward(again, ids), x), "a second cache gives other logits");
    c.policy.own["rank"] = 0.5;
    Cache half(engine, c);
    const auto z = model.forward(half, ids);
    check(!test::same_bits(z, x), "half the rank changed nothing");
    if (weights == ZS_F32) {  // a model whose projections are cut as the bases say, in double precision
      for (int l = 0; l < c.layers; ++l)
        for (const char* which : {"key", "value"})
          for (int g = 0; g < c.kv_heads; ++g) {
            const test::Array basis = half.inspect(l, g).at(std::string(which) + "Basis");
            auto& w =
                tiny.values.at("blk." + std::to_string(l) + (which[0] == 'k' ? ".attn_k.weight" : ".attn_v.weight"));
            const size_t d = static_cast<size_t>(c.head_dim), hidden = static_cast<size_t>(sizes.hidden),
                         first = static_cast<size_t>(g) * d;
            for (size_t column = 0; column < hidden; ++column) {
              std::vector<double> cut(d);
              for (size_t j = 0; j < static_cast<size_t>(basis.shape[0]); ++j) {
                double part = 0;
                for (size_t i = 0; i < d; ++i)
                  part += static_cast<double>(basis.data[j * d + i]) *
                          static_cast<double>(w[(first + i) * hidden + column]);
                for (size_t i = 0; i < d; ++i) cut[i] += part * static_cast<double>(basis.data[j * d + i]);
              }
              for (size_t i = 0; i < d; ++i) w[(first + i) * hidden + column] = static_cast<float>(cut[i]);
            }
          }
      const auto due = tiny.logits(ids, false);
      tiny.values = whole;
      off = 0;
      for (size_t i = 0; i < z.size(); ++i)
        off = std::max(off, std::fabs(static_cast<double>(z[i]) - due[i / due[0].size()][i % due[0].size()]));
      check(off <= 2e-4, "half the rank: logits are off by %g from a model with cut projections", off);
    }
    c.projections.width = 4;
    for (auto* all : {&c.projections.keys, &c.projections.values})
      all->assign(static_cast<size_t>(c.layers),
                  std::vector<float>(static_cast<size_t>(c.kv_heads * c.head_dim * 4), 1.0f));
    std::string told;
    try {
      Cache other(engine, c);
      model.forward(other, ids);
    } catch (const std::exception& e) {
      told = e.what();
    }
    check(told.find("other projections than this model's") != std::string::npos, "told \"%s\"", told.c_str());
  }
}

}  // namespace

int main() {
  try {
    of_a_model();
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return test::finish("projections");
}
