// Second moments with the matrix instructions that some processors have, to BF16's precision.

#ifndef BEEM_MOMENTS_H
#define BEEM_MOMENTS_H

#include <stddef.h>

#pragma clang assume_nonnull begin

/// Kernels of one kind of matrix instructions.
struct __attribute__((swift_attr("@Sendable"))) beem_moments {
  /// "AMX".
  const char *name;

  /// How many rows are packed together, a step.
  size_t step_rows;

  /// How many steps are added together: with these the packed form stays in the core's cache.
  size_t most_steps;

  /// The sum is kept in squares: so many numbers each, and so many of them for rows of a width. Columns are grouped, so many at
  /// a time, and products are those of columns of the same group; a group is a multiple of 32 columns, or all there are.
  size_t square_numbers;
  size_t (*square_count)(size_t width, size_t group);

  /// How many bytes the packed form of `most_steps` steps has.
  size_t (*packed_size)(size_t width);

  /// Rounds rows [rows, width], at most `step_rows` of them, to BF16 as a step, in the order in which `add` reads them.
  void (*pack)(const float *block, size_t rows, size_t width, size_t step, void *packed);

  /// Adds the first `steps` of what is packed to the squares `first` to `last`, not including it. They are 0 at first.
  void (*add)(
      const void *packed, size_t steps, size_t width, size_t group, size_t first, size_t last, float *squares);

  /// Writes the sum over rows of `x_i * x_j` to entry (i, j) of `sums` [width, width], j >= i, from the squares of one group that
  /// has so many columns; of what is below the diagonal some is touched.
  void (*unpack)(const float *squares, size_t width, float *sums);
};

/// The best for this processor; null where it has no such instructions, the system does not let this process use them, or
/// the environment's BEEM_KERNELS rules them out.
const struct beem_moments *_Nullable beem_moments_best(void);

#pragma clang assume_nonnull end

#endif
