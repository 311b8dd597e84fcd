// Products of rows rounded to bytes with few columns, with the matrix instructions that some processors have.

#ifndef BEEM_QUANTIZED_ROWS_H
#define BEEM_QUANTIZED_ROWS_H

#include <stddef.h>

#pragma clang assume_nonnull begin

/// Kernels of one kind of matrix instructions.
struct __attribute__((swift_attr("@Sendable"))) beem_quantized_rows {
  /// "AMX".
  const char *name;

  /// How many rows are packed together, a step.
  size_t step_rows;

  /// How many steps are a group, which stays in the core's cache.
  size_t group_steps;

  /// The widest rows: the sums of their products are in 32 bits.
  size_t most_width;

  /// How many bytes the packed form of a group has.
  size_t (*packed_size)(size_t width);

  /// Rounds rows [rows, width], at most `step_rows` of them, to whole numbers from -127 to 127, as a step of a group, in the order in
  /// which the other kernels read them. Rows that are missing are zeros.
  void (*pack)(const float *block, size_t rows, size_t width, size_t step, void *packed);

  /// How many bytes the packed form of weights [columns, width] has.
  size_t (*weights_size)(size_t columns, size_t width);

  /// Rounds weights [columns, width] to 22 bits of a column's largest, in the order in which `multiply` reads them.
  void (*pack_weights)(const float *weights, size_t columns, size_t width, void *packed);

  /// `products[c * stride + r] = x_r · weights_c + bias_c` for the rows x of the first `steps` of a group, all of whose steps may be
  /// read. Not a number where a weight of the column is not finite.
  void (*multiply)(
      const void *packed, size_t steps, size_t width, const void *weights, const float *bias, size_t columns,
      size_t stride, float *products);

  /// `sums[c * width + i] += sum over rows of factors[c * stride + r] * x_ri`, for the first `rows` rows of a group. Factors are
  /// rounded to 22 bits of a column's largest.
  void (*add_products)(
      const void *packed, size_t rows, size_t width, const float *factors, size_t columns, size_t stride, float *sums);
};

/// The best for this processor; null where it has no such instructions, the system does not let this process use them, or
/// the environment's BEEM_KERNELS rules them out.
const struct beem_quantized_rows *_Nullable beem_quantized_rows_best(void);

#pragma clang assume_nonnull end

#endif
