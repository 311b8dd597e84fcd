// Solving with a triangular matrix by AMX.
//
// A tile is 16 columns of a block, 32 rows of it in pairs: row i and row i + 16. On the way forth, where rows are added up, an
// instruction multiplies pairs with pairs. On the way back columns are: a number stands there twice, paired with zeros, once for
// the first rows of the pairs, once for the second ones. What the matrix is multiplied by is two BF16, the number rounded and what
// is left of it.

#include "amx.h"

#if BEEM_HAS_AMX

enum { block_size = 2 * side, block_bytes = 2 * tile_bytes, most_sides = side / 2 };

static inline size_t blocks_of(size_t order) { return (order + block_size - 1) / block_size; }

// The block of a row of blocks r and a column of blocks s > r: column after column.
static inline const char *block_of(const void *packed, size_t r, size_t s) {
  return (const char *)packed + (s * (s - 1) / 2 + r) * block_bytes;
}

static inline words left_of(numbers values) { return rounded(values - (numbers)rounded(values)); }

static size_t packed_size(size_t order) { return blocks_of(order) * (blocks_of(order) - 1) / 2 * block_bytes; }

static void pack(const float *matrix, size_t order, void *packed) {
  char *target = packed;
  for (size_t s = 1; s < blocks_of(order); s++) {
    for (size_t r = 0; r < s; r++) {
      for (size_t column = s * block_size; column < (s + 1) * block_size; column += side, target += tile_bytes) {
        size_t count = column < order ? order - column : 0;
        words pairs[side];
        for (size_t row = 0; row < side; row++) {
          const float *own = matrix + (r * block_size + row) * order + column;
          pairs[row] = paired(
              rounded(load_numbers(own, count)), rounded(load_numbers(own + side * order, count)));
        }
        memcpy(target, pairs, sizeof pairs);
      }
    }
  }
}

// A block of right-hand sides.
typedef numbers sides_block[most_sides][2];

static inline void load_sides(const float *sides, size_t order, size_t count, size_t start, sides_block block) {
  for (size_t i = 0; i < most_sides; i++) {
    for (size_t half = 0; half < 2; half++) {
      size_t column = start + half * side;
      block[i][half] =
          i < count && column < order ? load_numbers(sides + i * order + column, order - column) : (numbers){};
    }
  }
}

static inline void store_sides(const sides_block block, size_t order, size_t count, size_t start, float *sides) {
  for (size_t i = 0; i < count; i++) {
    for (size_t half = 0; half < 2; half++) {
      size_t column = start + half * side;
      if (column < order) store_numbers(block[i][half], order - column, sides + i * order + column);
    }
  }
}

// Multiplies with an inverse of a block on the diagonal: all sides there may be, so that all sums are in registers.
static inline void multiply_sides(sides_block block, const float *inverse) {
  float values[most_sides][block_size];
  memcpy(values, block, sizeof values);
  sides_block sums = {};
  for (size_t row = 0; row < block_size; row++, inverse += block_size) {
    numbers first = load_numbers(inverse, side), second = load_numbers(inverse + side, side);
#pragma clang loop unroll(full)
    for (size_t i = 0; i < most_sides; i++) {
      numbers value = (numbers){} + values[i][row];
      sums[i][0] = __builtin_elementwise_fma(value, first, sums[i][0]);
      sums[i][1] = __builtin_elementwise_fma(value, second, sums[i][1]);
    }
  }
  memcpy(block, sums, sizeof sums);
}

static void solve_forth(
    const void *packed, const float *inverses, size_t order, size_t count, float *sides, words (*own_tiles)[side]) {
  struct configuration configuration = whole_tiles();
  configuration.rows[0] = configuration.rows[1] = configuration.rows[2] = (uint8_t)(2 * count);
  _tile_loadconfig(&configuration);
  numbers products[2][side];
  for (size_t s = 0; s < blocks_of(order); s++) {
    _tile_zero(0);
    _tile_zero(1);
    const char *block = block_of(packed, 0, s);
    for (size_t r = 0; r < s; r++, block += block_bytes) {
      _tile_loadd(2, own_tiles[r], 64);
      _tile_loadd(4, block, 64);
      _tile_dpbf16ps(0, 2, 4);
      _tile_loadd(5, block + tile_bytes, 64);
      _tile_dpbf16ps(1, 2, 5);
    }
    _tile_stored(0, products[0], 64);
    _tile_stored(1, products[1], 64);
    sides_block own;
    load_sides(sides, order, count, s * block_size, own);
    for (size_t i = 0; i < count; i++) {
      own[i][0] -= products[0][i] + products[0][count + i];
      own[i][1] -= products[1][i] + products[1][count + i];
    }
    multiply_sides(own, inverses + s * 2 * block_size * block_size);
    store_sides((const numbers(*)[2])own, order, count, s * block_size, sides);
    for (size_t i = 0; i < count; i++) {
      own_tiles[s][i] = paired(rounded(own[i][0]), rounded(own[i][1]));
      own_tiles[s][count + i] = paired(left_of(own[i][0]), left_of(own[i][1]));
    }
  }
}

// [features, first rows' columns and second rows'], either paired with zeros.
static inline void turn_sides(const words values[most_sides], size_t count, words tile[side]) {
  for (size_t i = 0; i < side; i++) tile[i] = (words){};
  for (size_t i = 0; i < count; i++) {
    tile[i] = values[i] >> 16;
    tile[count + i] = values[i];
  }
  transpose(tile);
}

static void solve_back(
    const void *packed, const float *inverses, size_t order, size_t count, float *sides, words (*sums)[side]) {
  struct configuration configuration = whole_tiles();
  _tile_loadconfig(&configuration);
  memset(sums, 0, blocks_of(order) * sizeof *sums);
  for (size_t s = blocks_of(order); s-- > 0;) {
    sides_block own;
    load_sides(sides, order, count, s * block_size, own);
    words turned[side];
    memcpy(turned, sums[s], sizeof turned);
    transpose(turned);
    for (size_t i = 0; i < count; i++) {
      own[i][0] -= (numbers)turned[i];
      own[i][1] -= (numbers)turned[count + i];
    }
    multiply_sides(own, inverses + (s * 2 + 1) * block_size * block_size);
    store_sides((const numbers(*)[2])own, order, count, s * block_size, sides);
    if (s == 0) break;
    // [either half of the columns, rounded and what is left]
    words tiles[2][2][side], values[most_sides];
    for (size_t half = 0; half < 2; half++) {
      for (size_t i = 0; i < count; i++) values[i] = rounded(own[i][half]);
      turn_sides(values, count, tiles[half][0]);
      for (size_t i = 0; i < count; i++) values[i] = left_of(own[i][half]);
      turn_sides(values, count, tiles[half][1]);
    }
    _tile_loadd(4, tiles[0][0], 64);
    _tile_loadd(5, tiles[0][1], 64);
    _tile_loadd(6, tiles[1][0], 64);
    _tile_loadd(7, tiles[1][1], 64);
    const char *block = block_of(packed, 0, s);
    for (size_t r = 0; r < s; r++, block += block_bytes) {
      _tile_loadd(0, sums[r], 64);
      _tile_loadd(2, block, 64);
      _tile_dpbf16ps(0, 2, 4);
      _tile_dpbf16ps(0, 2, 5);
      _tile_loadd(3, block + tile_bytes, 64);
      _tile_dpbf16ps(0, 3, 6);
      _tile_dpbf16ps(0, 3, 7);
      _tile_stored(0, sums[r], 64);
    }
  }
}

static size_t scratch_size(size_t order) { return blocks_of(order) * tile_bytes; }

static void solve(
    const void *packed, const float *inverses, size_t order, size_t count, float *sides, void *scratch) {
  solve_forth(packed, inverses, order, count, sides, scratch);
  solve_back(packed, inverses, order, count, sides, scratch);
  _tile_release();
}

#pragma clang attribute pop

static const struct beem_triangles amx = {
    .name = "AMX",
    .block_size = block_size,
    .most_sides = most_sides,
    .packed_size = packed_size,
    .pack = pack,
    .scratch_size = scratch_size,
    .solve = solve,
};

const struct beem_triangles *beem_triangles_best(void) { return beem_amx_is_allowed() ? &amx : 0; }

#else

#include "CTriangles.h"

const struct beem_triangles *beem_triangles_best(void) { return 0; }

#endif
