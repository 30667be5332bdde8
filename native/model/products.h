// Matrix products of the runner: who computes them is decided by the row count alone, and work is cut into blocks that depend on
// shapes alone, so that neither the thread count nor other rows show in a result.
#ifndef ZSLAB_MODEL_PRODUCTS_H
#define ZSLAB_MODEL_PRODUCTS_H

#include <memory>
#include <string>
#include <vector>

#include "model/architecture.h"
#include "model/library.h"
#include "model/weights.h"

namespace zs {

enum class Then {
  kStore,     // y = W x
  kAdd,       // y += W x
  kActivate,  // y = activation(W x), half as wide
};

struct Product {
  const Matrix* w;
  const void*
      x;  // rows of w->k values side by side, zero beyond the inputs: bfloat16 where rounded(rows), else float32
  int64_t rows;
  Then then;
  void* y;  // float32; for kActivate like x
  int64_t y_stride;
  bool exact = false;  // our own kernels on float32 rows, however many there are
};

class Products {
 public:
  // `matrices`: all that will be multiplied with many rows; `rounds`: of these rows may be rounded to bfloat16.
  Products(zs_engine& engine, const Architecture& architecture, const std::vector<const Matrix*>& matrices,
           bool rounds);

  // Whether the library multiplies so many rows, of x rounded to bfloat16. Else our own kernels do, of float32 rows, which are as quick as its
  // (docs/products.md); weights that are not float32 are widened, block by block.
  bool rounded(int64_t rows) const { return library_ && rows > kFewRows; }
  // What multiplies more than kFewRows rows, in words.
  std::string many() const;
  // Rows that x must have room for.
  static int64_t padded(int64_t rows) { return (rows + 15) / 16 * 16; }

  // Throws Error: ZS_ABORTED, ZS_INTERNAL.
  void run(const Product& product, const zs_call* call);

 private:
  struct Block {
    int64_t row, rows, tile, tiles;
  };
  void own(const Product& product, const zs_call* call);
  void prepare(const Product& product);
  void by_library(const Product& product, const zs_call* call);
  void own_block(const Product& product, const Block& block, int thread);
  void finish(const Product& product, const Block& block, const float* values, int64_t stride, bool bf16) const;
  // Weights of a block as float32: as they are, or widened into the thread's memory.
  const float* float_tiles(const Matrix& w, const Block& block, int thread);
  int64_t own_tiles(const Matrix& w, int64_t rows) const;

  struct Scratch {
    Buffer results;  // of a block
    Buffer weights;  // of a block, widened
    const void* held = nullptr;
    int64_t held_tiles = 0;  // what `weights` holds
  };

  zs_engine& engine_;
  const LinearKernels& linear_;
  decltype(LinearKernels::swiglu) activation_;
  std::unique_ptr<Library> library_;
  Buffer prepared_[kPackings];    // rows of x, as products with such weights want them
  std::vector<Scratch> scratch_;  // of each thread
};

}  // namespace zs
#endif
