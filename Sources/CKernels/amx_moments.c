// Second moments by AMX.

#include "amx.h"

#if BEEM_HAS_AMX

// A tile is 16 columns of the features, each with 32 rows of them, a step, as 16 pairs of BF16. Two tiles side by side are a strip;
// the products of two strips are a square.
enum {
  strip_width = 2 * side,
  step_rows = 32,
  most_steps = 8,
  strip_bytes = 2 * tile_bytes,
  square_numbers = strip_width * strip_width,
};

static inline size_t strips_of(size_t width) { return (width + strip_width - 1) / strip_width; }

static size_t packed_size(size_t width) { return strips_of(width) * most_steps * strip_bytes; }

// Behind the last strip that belongs to the same group as `strip`.
static inline size_t group_end(size_t strip, size_t width, size_t group) {
  size_t strips = (group + strip_width - 1) / strip_width, end = (strip / strips + 1) * strips;
  return end < strips_of(width) ? end : strips_of(width);
}

static size_t square_count(size_t width, size_t group) {
  size_t count = 0;
  for (size_t row = 0; row < strips_of(width); row++) count += group_end(row, width, group) - row;
  return count;
}

// Where the pairs of a strip are: [steps, 2, 16 pairs, 16 columns].
static inline char *strip_of(const void *packed, size_t strip) {
  return (char *)packed + strip * most_steps * strip_bytes;
}

static void pack(const float *block, size_t rows, size_t width, size_t step, void *packed) {
  for (size_t column = 0; column < strips_of(width) * strip_width; column += side) {
    size_t count = column < width ? width - column : 0;
    words pairs[side];
    for (size_t pair = 0; pair < side; pair++) {
      size_t row = 2 * pair;
      numbers first = {}, second = {};
      if (row < rows) first = load_numbers(block + row * width + column, count);
      if (row + 1 < rows) second = load_numbers(block + (row + 1) * width + column, count);
      pairs[pair] = paired(rounded(first), rounded(second));
    }
    size_t offset = step * strip_bytes + column % strip_width / side * tile_bytes;
    memcpy(strip_of(packed, column / strip_width) + offset, pairs, sizeof pairs);
  }
}

// The tiles of a strip turned: [steps, 2, 16 columns, 16 pairs]. They fit the core's smallest cache, where they stay for all
// squares of the strip.
static void turn(const char *strip, size_t steps, char *turned) {
  for (size_t tile = 0; tile < 2 * steps; tile++) {
    words pairs[side];
    memcpy(pairs, strip + tile * tile_bytes, sizeof pairs);
    transpose(pairs);
    memcpy(turned + tile * tile_bytes, pairs, sizeof pairs);
  }
}

// Adds the products of two strips, one of them turned, to their square [2, 2, 16, 16].
static inline void add_square(const char *left, const char *right, size_t steps, float *square) {
  float *tiles[4] = {square, square + square_numbers / 4, square + square_numbers / 2, square + square_numbers / 4 * 3};
  _tile_loadd(0, tiles[0], 64);
  _tile_loadd(1, tiles[1], 64);
  _tile_loadd(2, tiles[2], 64);
  _tile_loadd(3, tiles[3], 64);
  for (size_t step = 0; step < steps; step++, left += strip_bytes, right += strip_bytes) {
    _tile_loadd(4, left, 64);
    _tile_loadd(6, right, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, right + tile_bytes, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, left + tile_bytes, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, tiles[0], 64);
  _tile_stored(1, tiles[1], 64);
  _tile_stored(2, tiles[2], 64);
  _tile_stored(3, tiles[3], 64);
}

static void add(
    const void *packed, size_t steps, size_t width, size_t group, size_t first, size_t last, float *squares) {
  struct configuration configuration = whole_tiles();
  _tile_loadconfig(&configuration);
  char turned[most_steps * strip_bytes] __attribute__((aligned(64)));
  size_t square = 0;
  for (size_t row = 0; row < strips_of(width); row++) {
    const size_t count = group_end(row, width, group) - row;
    if (square + count > first && square < last) turn(strip_of(packed, row), steps, turned);
    for (size_t column = row; column < row + count; column++, square++) {
      if (square < first || square >= last) continue;
      add_square(turned, strip_of(packed, column), steps, squares + square * square_numbers);
    }
  }
  _tile_release();
}

static void unpack(const float *squares, size_t width, float *sums) {
  for (size_t row = 0; row < strips_of(width); row++) {
    for (size_t column = row; column < strips_of(width); column++, squares += square_numbers) {
      for (size_t tile = 0; tile < 4; tile++) {
        for (size_t i = 0; i < side; i++) {
          size_t x = row * strip_width + tile / 2 * side + i, y = column * strip_width + tile % 2 * side;
          if (x >= width || y >= width) continue;
          size_t count = width - y < side ? width - y : side;
          memcpy(sums + x * width + y, squares + tile * side * side + i * side, count * sizeof(float));
        }
      }
    }
  }
}

#pragma clang attribute pop

static const struct beem_moments amx = {
    .name = "AMX",
    .step_rows = step_rows,
    .most_steps = most_steps,
    .square_numbers = square_numbers,
    .packed_size = packed_size,
    .square_count = square_count,
    .pack = pack,
    .add = add,
    .unpack = unpack,
};

const struct beem_moments *beem_moments_best(void) { return beem_amx_is_allowed() ? &amx : 0; }

#else

#include "CMoments.h"

const struct beem_moments *beem_moments_best(void) { return 0; }

#endif
