// An informer's memory: own writes are read at once, and old news does not undo them.
import ClusterModel
import Essentials
import Testing

@testable import ClusterClient

@Suite struct InformerCacheTests {
    private func pod(_ name: String, _ revision: Int, uid: String? = nil, labels: [String: String] = [:]) -> JSON {
        [
            "metadata": [
                "name": JSON(name), "namespace": "n", "uid": JSON(uid ?? "uid-" + name), "resourceVersion": JSON(String(revision)),
                "labels": JSON(labels),
            ]
        ]
    }

    private func names(_ changes: [(key: String, change: InformerChange)]) -> [String] {
        changes.map {
            switch $0.change {
            case .added(let object): "+" + object.metaResourceVersion
            case .modified(let object): "~" + object.metaResourceVersion
            case .deleted(let object): "-" + object.metaResourceVersion
            }
        }
    }

    @Test func anOwnWriteIsThereAtOnceAndToldOnce() {
        var cache = InformerCache()
        #expect(names(cache.note(written: pod("a", 5))) == ["+5"])
        #expect(cache.items["n/a"] != nil)
        #expect(names(cache.apply(WatchEvent(kind: .added, object: pod("a", 5)))) == [])
        #expect(names(cache.note(written: pod("a", 9))) == ["~9"])
        #expect(names(cache.apply(WatchEvent(kind: .modified, object: pod("a", 7)))) == [])
        #expect(cache.items["n/a"]?.metaResourceVersion == "9")
        #expect(names(cache.apply(WatchEvent(kind: .modified, object: pod("a", 9)))) == [])
        #expect(names(cache.apply(WatchEvent(kind: .modified, object: pod("a", 10)))) == ["~10"])
        #expect(names(cache.note(written: pod("a", 8))) == [], "an older answer changes nothing")
    }

    @Test func whatIsGoneStaysGone() {
        var cache = InformerCache()
        _ = cache.apply(WatchEvent(kind: .added, object: pod("a", 5)))
        #expect(names(cache.note(gone: pod("a", 5))) == ["-5"])
        #expect(names(cache.apply(WatchEvent(kind: .modified, object: pod("a", 6)))) == [])
        #expect(cache.items.isEmpty)
        #expect(names(cache.apply(WatchEvent(kind: .deleted, object: pod("a", 7)))) == [])
        #expect(names(cache.apply(WatchEvent(kind: .added, object: pod("a", 8, uid: "next")))) == ["+8"])
    }

    @Test func aSuccessorOfTheSameNameOutlivesTheNewsOfItsPredecessor() {
        var cache = InformerCache()
        _ = cache.apply(WatchEvent(kind: .added, object: pod("a", 5)))
        #expect(names(cache.note(written: pod("a", 9, uid: "next"))) == ["-5", "+9"])
        #expect(names(cache.apply(WatchEvent(kind: .deleted, object: pod("a", 8)))) == [])
        #expect(cache.items["n/a"]?.metaUID == "next")
    }

    @Test func aListKeepsWhatIsNewerThanItself() {
        var cache = InformerCache()
        _ = cache.note(written: pod("new", 12))
        _ = cache.note(written: pod("old", 3))
        _ = cache.apply(WatchEvent(kind: .added, object: pod("ended", 4)))
        _ = cache.note(gone: pod("ended", 4))
        #expect(names(cache.replace(with: [pod("ended", 4), pod("x", 2)], at: "10")).sorted() == ["+2", "-3"])
        #expect(Set(cache.items.keys) == ["n/new", "n/x"])
    }

    @Test func indexesFollow() {
        var cache = InformerCache()
        _ = cache.apply(WatchEvent(kind: .added, object: pod("a", 1, labels: ["app": "x"])))
        cache.addIndex("app") { $0.metaLabels["app"].map { [$0] } ?? [] }
        _ = cache.apply(WatchEvent(kind: .added, object: pod("b", 2, labels: ["app": "x"])))
        #expect(Set(cache.items(index: "app", value: "x").map(\.metaName)) == ["a", "b"])
        _ = cache.apply(WatchEvent(kind: .modified, object: pod("a", 3, labels: ["app": "y"])))
        _ = cache.apply(WatchEvent(kind: .deleted, object: pod("b", 4, labels: ["app": "x"])))
        #expect(cache.items(index: "app", value: "x").isEmpty)
        #expect(cache.items(index: "app", value: "y").map(\.metaName) == ["a"])
    }
}
