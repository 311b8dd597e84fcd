// Second moments with the matrix instructions that some processors have, to BF16's precision.

#ifndef BEEM_MOMENTS_H
#define BEEM_MOMENTS_H

#include <stddef.h>

#pragma clang assume_nonnull begin

/// Kernels of one kind of matrix instructions.
struct __attribute__((swift_attr("@Sendable"))) beem_moments {
  /// "AMX".
  const char *name;

  /// The most rows that are packed at once: with these the packed form stays in the core's cache.
  size_t most_rows;

  /// How many bytes the packed form of some rows has.
  size_t (*packed_size)(size_t rows, size_t width);

  /// Rounds rows [rows, width] to BF16, in the order in which `add` reads them.
  void (*pack)(const float *block, size_t rows, size_t width, void *packed);

  /// Adds the products of columns `first` to `last` of packed rows with all columns from there on to `sums` [width, width],
  /// the sum over rows of `x_i * x_j` to entry (i, j). Both are multiples of 32, but for a `last` that is the width. Of what
  /// is below the diagonal some is touched.
  void (*add)(const void *packed, size_t rows, size_t width, size_t first, size_t last, float *sums);
};

/// The best for this processor; null where it has no such instructions, the system does not let this process use them, or
/// the environment's BEEM_KERNELS rules them out.
const struct beem_moments *_Nullable beem_moments_best(void);

#pragma clang assume_nonnull end

#endif
