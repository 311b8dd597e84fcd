import Foundation
import Safetensors
import TestSupport
import Testing

@testable import FeatureCache

@Suite("Storing a drawn split")
struct FeatureCacheWritingTests {
    private let folder: TemporaryFolder
    private let splits = Splits(train: [6, 7], tune: [0, 1], certify: [2, 3], test: [5])

    init() throws { folder = try TemporaryFolder() }

    @Test("changes the split and nothing else")
    func changesTheSplit() throws {
        let before = try FeatureCache(
            opening: TestCache.good.with([
                "group": .integers([0, 0, 1, 1, 2, 2, 3, 3], .int64, shape: [8]), "extra": .bytes([9], shape: [1]),
            ]).write(to: folder))
        try before.write(to: folder.file("split.safetensors"), splits: splits)
        let after = try FeatureCache(opening: folder.file("split.safetensors"))
        #expect(after.storedSplit == [1, 1, 2, 2, 255, 3, 0, 0])
        #expect(try SplitPlan.stored.draw(from: after.samples.splitSubject.withOneClass, seed: 1) == splits)
        #expect(after.metadata == before.metadata)
        #expect(Set(after.store.names) == Set(before.store.names))
        for name in before.store.names where name != "split" {
            let (old, new) = (try before.store.tensor(name), try after.store.tensor(name))
            #expect(old.description == new.description)
            #expect(old.bytes == new.bytes)
        }
    }

    @Test("may replace the file that it reads from")
    func inPlace() throws {
        let path = try TestCache.good.with(["split": nil]).write(to: folder)
        try FeatureCache(opening: path).write(to: path, splits: splits)
        #expect(try FeatureCache(opening: path).storedSplit == [1, 1, 2, 2, 255, 3, 0, 0])
        #expect(try folder.contents() == ["cache.safetensors"])
    }

    @Test("gives the same bytes twice")
    func deterministic() throws {
        let cache = try FeatureCache(opening: TestCache.good.write(to: folder))
        try cache.write(to: folder.file("a"), splits: splits)
        try cache.write(to: folder.file("b"), splits: splits)
        #expect(try sha256(ofFile: folder.file("a")) == sha256(ofFile: folder.file("b")))
    }

    @Test("says that the folder does not exist")
    func noFolder() throws {
        let cache = try FeatureCache(opening: TestCache.good.write(to: folder))
        let error = try #require(throws: InputError.self) {
            try cache.write(to: folder.file("missing/cache"), splits: splits)
        }
        #expect(error.kind == .unwritable && error.file == folder.file("missing/cache"))
    }
}

extension SplitSubject {
    /// The same samples, all of one class, so that no split lacks one.
    fileprivate var withOneClass: SplitSubject {
        SplitSubject(file: file, labels: labels.map { _ in 0 }, classes: ["all"], groups: groups, stored: stored)
    }
}
