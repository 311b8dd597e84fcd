// Solving with a triangular matrix rounded to BF16, with the matrix instructions that some processors have.

#ifndef BEEM_TRIANGLES_H
#define BEEM_TRIANGLES_H

#include <stddef.h>

#pragma clang assume_nonnull begin

/// Kernels of one kind of matrix instructions.
struct __attribute__((swift_attr("@Sendable"))) beem_triangles {
  /// "AMX".
  const char *name;

  /// How many rows and columns a block has.
  size_t block_size;

  /// The most right-hand sides at once.
  size_t most_sides;

  /// How many bytes the packed form of a matrix has.
  size_t (*packed_size)(size_t order);

  /// Rounds an upper triangular matrix U [order, order], row-major, to BF16, but for the blocks on its diagonal, in the order in which
  /// `solve` reads it.
  void (*pack)(const float *matrix, size_t order, void *packed);

  /// How many bytes `solve` needs to work with, aligned to 64.
  size_t (*scratch_size)(size_t order);

  /// Replaces each row x of `sides` [count, order] by the solution z of `Uᵀ U z = x`. `inverses` [blocks, 2, block_size, block_size]
  /// are those of the blocks on the diagonal, and then the same transposed; the last one ends with zeros. What U is multiplied by is
  /// rounded to 16 bits.
  void (*solve)(
      const void *packed, const float *inverses, size_t order, size_t count, float *sides, void *scratch);
};

/// The best for this processor; null where it has no such instructions, the system does not let this process use them, or
/// the environment's BEEM_KERNELS rules them out.
const struct beem_triangles *_Nullable beem_triangles_best(void);

#pragma clang assume_nonnull end

#endif
