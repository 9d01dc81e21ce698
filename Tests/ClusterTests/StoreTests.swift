// The revision store: conflicts, history, watches, compaction, and a process that dies.
import Database
import Essentials
import Glibc
import Testing

@testable import ClusterStore

@Suite struct StoreTests {
    static func path() -> String { "/tmp/lectern-store-\(Identifier.short(length: 12)).db" }
    static func remove(_ path: String) { for suffix in ["", "-wal", "-shm"] { unlink(path + suffix) } }
    static func document(_ value: Int) -> JSON { ["metadata": ["name": "x"], "value": JSON(value)] }

    @Test func eachWriteIsANewRevision() async throws {
        let store = try ClusterStore(path: ":memory:")
        let first = try await store.create("a/1", Self.document(1))
        #expect(first.document["metadata"]?["resourceVersion"] == "1")
        let second = try await store.update(first, Self.document(2))
        #expect((second.revision, second.created) == (2, 1))
        let gone = try await store.delete(second, second.document)
        #expect(gone.revision == 3)
        #expect(try store.get("a/1") == nil)
        let again = try await store.create("a/1", Self.document(3))
        #expect((again.revision, again.created) == (4, 4))
    }

    @Test func whoComesLateIsTold() async throws {
        let store = try ClusterStore(path: ":memory:")
        let first = try await store.create("a/1", Self.document(1))
        await #expect(throws: StoreProblem.exists(key: "a/1")) { try await store.create("a/1", Self.document(1)) }
        _ = try await store.update(first, Self.document(2))
        await #expect(throws: StoreProblem.changed(key: "a/1")) { try await store.update(first, Self.document(3)) }
        await #expect(throws: StoreProblem.changed(key: "a/1")) { try await store.delete(first, Self.document(3)) }
    }

    @Test func manyWritersLoseNothing() async throws {
        let path = Self.path()
        defer { Self.remove(path) }
        let store = try ClusterStore(path: path, durability: .processDeath)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<20 {
                group.addTask { for index in 0..<50 { _ = try await store.create("a/\(writer)-\(index)", Self.document(index)) } }
            }
            try await group.waitForAll()
        }
        #expect(try store.count(prefix: "a/") == 1000)
        #expect(store.revision == 1000)
    }

    @Test func anEarlierStateCanBeListed() async throws {
        let store = try ClusterStore(path: ":memory:")
        let first = try await store.create("a/1", Self.document(1))
        _ = try await store.create("b/1", Self.document(9))
        _ = try await store.update(first, Self.document(2))
        _ = try await store.create("a/2", Self.document(3))
        #expect(try store.list(prefix: "a/").objects.count == 2)
        let then = try store.list(prefix: "a/", at: 2)
        #expect(then.objects.map { $0.document["value"] } == [1])
        #expect(throws: StoreProblem.future(current: 4)) { try store.list(prefix: "a/", at: 5) }
    }

    @Test func aWatchContinuesWhereItWas() async throws {
        let store = try ClusterStore(path: ":memory:")
        var object = try await store.create("a/1", Self.document(0))
        for value in 1...3 { object = try await store.update(object, Self.document(value)) }
        let watch = try store.watch(prefix: "a/", after: 2, failure: { _ in -1 }, transform: { Int($0.object.revision) })
        object = try await store.update(object, Self.document(4))
        _ = try await store.delete(object, object.document)
        _ = try await store.create("b/1", Self.document(0))
        var seen: [Int] = []
        for await revision in watch.events {
            seen.append(revision)
            if seen.count == 4 { break }
        }
        #expect(seen == [3, 4, 5, 6])
    }

    @Test func watchersSeeEveryWriteOfManyOnce() async throws {
        let store = try ClusterStore(path: ":memory:")
        let watch = try store.watch(prefix: "a/", after: 0, failure: { _ in -1 }, transform: { Int($0.object.revision) })
        async let seen: [Int] = {
            var seen: [Int] = []
            for await revision in watch.events {
                seen.append(revision)
                if seen.count == 500 { break }
            }
            return seen
        }()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<10 {
                group.addTask { for index in 0..<50 { _ = try await store.create("a/\(writer)-\(index)", Self.document(index)) } }
            }
            try await group.waitForAll()
        }
        #expect(await seen == Array(1...500))
    }

    @Test func compactionKeepsTheStateAndForgetsTheRest() async throws {
        let path = Self.path()
        defer { Self.remove(path) }
        do {
            let store = try ClusterStore(path: path)
            var object = try await store.create("a/1", Self.document(0))
            for value in 1...9 { object = try await store.update(object, Self.document(value)) }
            let other = try await store.create("a/2", Self.document(0))
            _ = try await store.delete(other, other.document)
            try store.compact(through: 12)
            #expect(try store.list(prefix: "a/").objects.map { $0.document["value"] } == [9])
            #expect(throws: StoreProblem.compacted(oldest: 11)) { try store.list(prefix: "a/", at: 5) }
            #expect(throws: StoreProblem.compacted(oldest: 11)) {
                try store.watch(prefix: "a/", after: 5, failure: { _ in 0 }, transform: { _ in 0 })
            }
        }
        let store = try ClusterStore(path: path)
        #expect(store.revision == 12)
        #expect(try await store.create("a/3", Self.document(0)).revision == 13)
        #expect(throws: StoreProblem.compacted(oldest: 11)) { try store.list(prefix: "a/", at: 5) }
        try store.compact(through: 13)
        #expect(try store.list(prefix: "a/").objects.count == 2)
    }

    @Test func tooLargeAnObjectIsRefused() async throws {
        let store = try ClusterStore(path: ":memory:")
        let large: JSON = ["metadata": .emptyObject, "data": JSON(String(repeating: "x", count: ClusterStore.objectLimitBytes))]
        await #expect(throws: StoreProblem.tooLarge(limitBytes: ClusterStore.objectLimitBytes)) { try await store.create("a/1", large) }
        #expect(try await store.create("a/1", Self.document(1)).revision == 1)
    }

    @Test func tenThousandObjectsAreListedInPages() async throws {
        let store = try ClusterStore(path: ":memory:")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<10 {
                group.addTask { for index in 0..<1000 { _ = try await store.create("a/\(writer * 1000 + index)", Self.document(index)) } }
            }
            try await group.waitForAll()
        }
        var keys: [String] = []
        var last: String?
        while true {
            let page = try store.list(prefix: "a/", after: last, limit: 900, at: 10_000)
            keys += page.objects.map(\.key)
            last = page.objects.last?.key
            if !page.hasMore { break }
            #expect(page.remaining == 10_000 - keys.count)
        }
        #expect(keys.count == 10_000)
        #expect(Set(keys).count == 10_000)
    }

    @Test func aFullDiskRefusesAndGoesOnWhenThereIsRoom() async throws {
        let path = Self.path()
        defer { Self.remove(path) }
        let store = try ClusterStore(path: path, durability: .processDeath)
        let first = try await store.create("a/1", Self.document(1))
        let large: JSON = ["metadata": .emptyObject, "data": JSON(String(repeating: "x", count: 200_000))]
        try store.database.write { try $0.execute("PRAGMA max_page_count = 20") }
        await #expect(throws: StoreProblem.database(.full)) { try await store.create("a/2", large) }
        #expect(try store.get("a/2") == nil)
        #expect(try store.list(prefix: "a/").objects.map(\.key) == ["a/1"])
        #expect(try await store.update(first, Self.document(2)).revision == 2)
        try store.database.write { try $0.execute("PRAGMA max_page_count = 100000") }
        #expect(try await store.create("a/2", large).revision == 3)
    }

    @Test func oneBadWriteOfABatchHarmsNoOther() async throws {
        let store = try ClusterStore(path: ":memory:")
        _ = try await store.create("a/0", Self.document(0))
        let outcomes = await withTaskGroup(of: Bool.self) { group in
            for index in 0..<40 {
                group.addTask {
                    do throws(StoreProblem) {
                        // Every second one names a key that is taken.
                        _ = try await store.create(index % 2 == 0 ? "a/0" : "a/\(index)", Self.document(index))
                        return true
                    } catch {
                        return false
                    }
                }
            }
            return await group.reduce(into: [Bool]()) { $0.append($1) }
        }
        #expect(outcomes.filter { $0 }.count == 20)
        #expect(store.revision == 21)
    }

    @Test func whatWasAnsweredSurvivesAKill() async throws {
        let path = Self.path()
        defer {
            Self.remove(path)
            unlink(path + ".acknowledged")
        }
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let store = try ClusterStore(path: path, durability: .processDeath)
            let log = open(path + ".acknowledged", O_WRONLY | O_CREAT | O_APPEND, 0o600)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<8 {
                    group.addTask {
                        for index in 0..<10_000 {
                            let object = try await store.create("a/\(writer)-\(index)", ["metadata": ["name": "x"], "value": JSON(index)])
                            write(log, "x", 1)
                            // In the middle of what the others write.
                            if object.revision == 700 { kill(getpid(), SIGKILL) }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
        var acknowledged = stat()
        #expect(stat(path + ".acknowledged", &acknowledged) == 0)
        #expect(acknowledged.st_size > 600)
        let store = try ClusterStore(path: path)
        let list = try store.list(prefix: "a/")
        #expect(list.objects.count >= Int(acknowledged.st_size))
        #expect(store.revision == Int64(list.objects.count))
        #expect(list.objects.allSatisfy { $0.document["metadata"]?["resourceVersion"]?.string == String($0.revision) })
        _ = try await store.create("b/1", Self.document(0))
    }
}
