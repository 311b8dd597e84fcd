// Products of rows rounded to bytes by AMX.
//
// An instruction adds up products of four bytes with four. Here these are two features of two rows, so that one packed form serves
// both ways: forward, where features are added up, a column stands there once for each row, with zeros for the other one; on the
// way back, where rows are, once for each feature. That is half of what the instruction can do, which rows are read too slowly
// for anyway. What rows are multiplied by is three bytes, one beside the other.

#include "amx.h"

#if BEEM_HAS_AMX

enum {
  // A tile is 32 features of a step, 32 rows: in row i of the tile, number j is of features j and j + 16 of rows i and i + 16.
  features_of_tile = 2 * side,
  step_rows = 2 * side,
  // Two steps go forward side by side.
  group_steps = 8,
  parts = 3,
  // Columns that are multiplied at once.
  block_columns = side / parts,
};

// What a part counts of the one before.
static const float part_scale = 1.0f / 128;

static inline size_t tiles_of(size_t width) { return (width + features_of_tile - 1) / features_of_tile; }

static inline size_t columns_of_block(size_t columns, size_t first) {
  return columns - first < block_columns ? columns - first : block_columns;
}

// MARK: Packing

static size_t packed_size(size_t width) { return tiles_of(width) * group_steps * tile_bytes; }

// Where a tile of a step is: [pairs of steps, tiles, 2].
static inline char *tile_of(const void *packed, size_t width, size_t step, size_t tile) {
  return (char *)packed + ((step / 2 * tiles_of(width) + tile) * 2 + step % 2) * tile_bytes;
}

static inline integers nearest(numbers values) { return (integers)_mm512_cvtps_epi32((__m512)values); }

// Four bytes of each number, the first one lowest.
static inline words joined(integers a, integers b, integers c, integers d) {
  return ((words)a & 255u) | ((words)b & 255u) << 8 | ((words)c & 255u) << 16 | (words)d << 24;
}

static inline integers byte_of_feature(const float *row, size_t feature, size_t width) {
  if (feature >= width) return (integers){};
  integers value = nearest(load_numbers(row + feature, width - feature));
  return __builtin_elementwise_min(__builtin_elementwise_max(value, (integers){} - 127), (integers){} + 127);
}

static void pack(const float *block, size_t rows, size_t width, size_t step, void *packed) {
  for (size_t tile = 0; tile < tiles_of(width); tile++) {
    words tile_rows[side];
    size_t feature = tile * features_of_tile;
    for (size_t row = 0; row < side; row++) {
      integers bytes[4] = {};
      for (size_t half = 0; half < 2; half++) {
        if (row + half * side >= rows) continue;
        const float *own = block + (row + half * side) * width;
        bytes[2 * half] = byte_of_feature(own, feature, width);
        bytes[2 * half + 1] = byte_of_feature(own, feature + side, width);
      }
      tile_rows[row] = joined(bytes[0], bytes[1], bytes[2], bytes[3]);
    }
    memcpy(tile_of(packed, width, step, tile), tile_rows, sizeof tile_rows);
  }
}

// MARK: Parts

static inline numbers larger(numbers a, numbers b) { return __builtin_elementwise_max(a, __builtin_elementwise_abs(b)); }

// What the first part is counted in, of numbers that have these for their largest.
static inline float unit_of(numbers largest) { return _mm512_reduce_max_ps((__m512)largest) / 127; }

// The inverse of a unit; 0 for that of zeros, and of numbers so small that it would be infinite.
static inline float inverse_of(float unit) { return unit > 1e-37f ? 1 / unit : 0; }

// Numbers in units of their column, as whole numbers of less and less.
static inline void split(numbers values, integers *parts_of_values) {
  for (int part = 0; part < parts; part++) {
    parts_of_values[part] = nearest(values);
    values = (values - __builtin_convertvector(parts_of_values[part], numbers)) / part_scale;
  }
}

// The sum of products with all parts of a column.
static inline numbers combined(const words *sums) {
  numbers sum = __builtin_convertvector((integers)sums[parts - 1], numbers);
  for (int part = parts - 2; part >= 0; part--) {
    sum = sum * part_scale + __builtin_convertvector((integers)sums[part], numbers);
  }
  return sum;
}

// MARK: Forward

// [blocks of columns]: a unit for each column, and [tiles, 2, features, parts of columns].
static inline size_t block_size(size_t width) { return 4 * side + 2 * tiles_of(width) * tile_bytes; }

static size_t weights_size(size_t columns, size_t width) {
  return (columns + block_columns - 1) / block_columns * block_size(width);
}

static void pack_weights(const float *weights, size_t columns, size_t width, void *packed) {
  char *block = packed;
  for (size_t first = 0; first < columns; first += block_columns, block += block_size(width)) {
    size_t count = columns_of_block(columns, first);
    float units[side] = {}, inverses[side] = {};
    for (size_t column = 0; column < count; column++) {
      const float *own = weights + (first + column) * width;
      numbers largest = {};
      // Not a number where a weight is not finite.
      float nothing = 0;
      for (size_t index = 0; index < width; index += side) {
        numbers values = load_numbers(own + index, width - index);
        largest = larger(largest, values);
        nothing += _mm512_reduce_add_ps((__m512)(values * 0));
      }
      units[column] = unit_of(largest) + nothing;
      inverses[column] = inverse_of(units[column]);
    }
    memcpy(block, units, sizeof units);
    char *target = block + sizeof units;
    for (size_t start = 0; start < width; start += features_of_tile, target += 2 * tile_bytes) {
      // [parts of columns, features], two features each; turned below.
      words rows[side] = {};
      for (size_t column = 0; column < count; column++) {
        const float *own = weights + (first + column) * width + start;
        integers low[parts], high[parts] = {};
        split(load_numbers(own, width - start) * inverses[column], low);
        if (start + side < width) split(load_numbers(own + side, width - start - side) * inverses[column], high);
        for (int part = 0; part < parts; part++) {
          rows[column * parts + part] = joined(low[part], high[part], (integers){}, (integers){});
        }
      }
      transpose(rows);
      memcpy(target, rows, sizeof rows);
      for (size_t row = 0; row < side; row++) rows[row] <<= 16;
      memcpy(target + tile_bytes, rows, sizeof rows);
    }
  }
}

// Writes the products of 16 rows, [rows, parts of columns], column by column.
static inline void write_products(
    const words *tile, const float *units, const float *bias, size_t count, size_t stride, float *products) {
  words turned[side];
  memcpy(turned, tile, sizeof turned);
  transpose(turned);
  for (size_t column = 0; column < count; column++) {
    numbers own = combined(turned + column * parts) * units[column] + bias[column];
    memcpy(products + column * stride, &own, sizeof own);
  }
}

static void multiply(
    const void *packed, size_t steps, size_t width, const void *weights, const float *bias, size_t columns,
    size_t stride, float *products) {
  struct configuration configuration = whole_tiles();
  _tile_loadconfig(&configuration);
  // [two steps, either 16 rows]
  words sums[4][side];
  const char *block = weights;
  for (size_t first = 0; first < columns; first += block_columns, block += block_size(width)) {
    const float *units = (const float *)block;
    for (size_t step = 0; step < steps; step += 2) {
      const char *rows = tile_of(packed, width, step, 0), *own = block + 4 * side;
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      for (size_t tile = 0; tile < tiles_of(width); tile++, rows += 2 * tile_bytes, own += 2 * tile_bytes) {
        _tile_loadd(4, rows, 64);
        _tile_loadd(6, own, 64);
        _tile_dpbssd(0, 4, 6);
        _tile_loadd(7, own + tile_bytes, 64);
        _tile_dpbssd(1, 4, 7);
        _tile_loadd(5, rows + tile_bytes, 64);
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
      }
      _tile_stored(0, sums[0], 64);
      _tile_stored(1, sums[1], 64);
      _tile_stored(2, sums[2], 64);
      _tile_stored(3, sums[3], 64);
      float *target = products + first * stride + step * step_rows;
      for (size_t half = 0; half < (steps - step > 1 ? 4 : 2); half++) {
        write_products(
            sums[half], units, bias + first, columns_of_block(columns, first), stride, target + half * side);
      }
    }
  }
  _tile_release();
}

// MARK: Backward

static void add_products(
    const void *packed, size_t rows, size_t width, const float *factors, size_t columns, size_t stride, float *sums) {
  const size_t steps = (rows + step_rows - 1) / step_rows;
  for (size_t first = 0; first < columns; first += block_columns) {
    const size_t count = columns_of_block(columns, first);
    float units[block_columns];
    // [steps, either feature, parts of columns, 16 pairs of rows]
    words pairs[group_steps][2][side];
    for (size_t column = 0; column < count; column++) {
      const float *own = factors + (first + column) * stride;
      numbers largest = {};
      for (size_t row = 0; row < rows; row += side) largest = larger(largest, load_numbers(own + row, rows - row));
      units[column] = unit_of(largest);
      const float inverse = inverse_of(units[column]);
      for (size_t step = 0; step < steps; step++) {
        size_t row = step * step_rows;
        integers low[parts], high[parts] = {};
        split(load_numbers(own + row, rows - row) * inverse, low);
        if (row + side < rows) split(load_numbers(own + row + side, rows - row - side) * inverse, high);
        for (int part = 0; part < parts; part++) {
          words both = joined(low[part], (integers){}, high[part], (integers){});
          pairs[step][0][column * parts + part] = both;
          pairs[step][1][column * parts + part] = both << 8;
        }
      }
    }
    // An instruction takes as long as it has rows to add to.
    struct configuration configuration = whole_tiles();
    configuration.rows[0] = configuration.rows[1] = configuration.rows[2] = configuration.rows[3] =
        (uint8_t)(count * parts);
    _tile_loadconfig(&configuration);
    words products[2][side];
    for (size_t tile = 0; tile < tiles_of(width); tile++) {
      _tile_zero(0);
      _tile_zero(1);
      for (size_t step = 0; step < steps; step++) {
        _tile_loadd(4, tile_of(packed, width, step, tile), 64);
        _tile_loadd(2, pairs[step][0], 64);
        _tile_dpbssd(0, 2, 4);
        _tile_loadd(3, pairs[step][1], 64);
        _tile_dpbssd(1, 3, 4);
      }
      _tile_stored(0, products[0], 64);
      _tile_stored(1, products[1], 64);
      for (size_t half = 0; half < 2; half++) {
        size_t feature = tile * features_of_tile + half * side;
        if (feature >= width) break;
        for (size_t column = 0; column < count; column++) {
          float *target = sums + (first + column) * width + feature;
          numbers sum = load_numbers(target, width - feature);
          sum += combined(products[half] + column * parts) * units[column];
          store_numbers(sum, width - feature, target);
        }
      }
    }
  }
  _tile_release();
}

#pragma clang attribute pop

static const struct beem_quantized_rows amx = {
    .name = "AMX",
    .step_rows = step_rows,
    .group_steps = group_steps,
    .most_width = 1 << 16,
    .packed_size = packed_size,
    .pack = pack,
    .weights_size = weights_size,
    .pack_weights = pack_weights,
    .multiply = multiply,
    .add_products = add_products,
};

const struct beem_quantized_rows *beem_quantized_rows_best(void) { return beem_amx_is_allowed() ? &amx : 0; }

#else

#include "CQuantizedRows.h"

const struct beem_quantized_rows *beem_quantized_rows_best(void) { return 0; }

#endif
