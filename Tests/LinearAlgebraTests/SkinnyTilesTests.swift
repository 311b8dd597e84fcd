import Testing

@testable import LinearAlgebra

@Suite("Tiles of skinny products")
struct SkinnyTilesTests {
    @Test("cover a range in order, within what small products may hold", arguments: [1, 3, 7, 128, 769, 4096], 1...13)
    func cover(width: Int, columns: Int) {
        for rows in [5..<5, 5..<6, 0..<128, 7..<1000] {
            var next = rows.lowerBound
            SkinnyTiles.forEach(rows, width: width, columns: columns) { tile in
                #expect(tile.lowerBound == next && !tile.isEmpty)
                #expect(tile.count <= 8 || tile.count * width * columns <= 1_000_000)
                next = tile.upperBound
            }
            #expect(next == rows.upperBound)
        }
    }

    @Test("are whole blocks where columns are many")
    func manyColumns() {
        var tiles: [Range<Int>] = []
        SkinnyTiles.forEach(0..<341, width: 768, columns: 150) { tiles.append($0) }
        #expect(tiles == [0..<341])
    }
}
