// The store in another process, as an API server sees it: reading, writing, watching, over restarts and kills.
import ClusterStore
import Database
import Essentials
import Glibc
import Synchronization
import Testing
import Web

@testable import StoreServer

/// What was answered.
private final class Ledger: Sendable {
    private let entries = Mutex<[String: Int64]>([:])
    func note(_ object: StoredObject) { entries.withLock { $0[object.key] = object.revision } }
    var all: [String: Int64] { entries.withLock { $0 } }
}

@Suite(.timeLimit(.minutes(2))) struct RemoteStoreTests {
    @Test func whatIsWrittenIsRead() async throws {
        let folder = StoreFolder()
        let running = try await RunningStore.start(folder)
        try await withRemote(port: running.port) { store in
            let first = try await store.create("a/1", document(1))
            #expect(first.document["metadata"]?["resourceVersion"] == "1")
            #expect(try JSON(parsing: first.bytes) == first.document)
            let second = try await store.update(first, document(2))
            #expect((second.revision, second.created) == (2, 1))
            #expect(try store.get("a/1")?.revision == 2)
            await #expect(throws: StoreProblem.exists(key: "a/1")) { try await store.create("a/1", document(1)) }
            await #expect(throws: StoreProblem.changed(key: "a/1")) { try await store.update(first, document(3)) }
            let gone = try await store.delete(second, second.document)
            #expect(gone.revision == 3)
            #expect(try store.get("a/1") == nil)
            await #expect(throws: StoreProblem.missing(key: "a/1")) { try await store.update(second, document(3)) }
            let again = try await store.create("a/1", document(3))
            #expect((again.revision, again.created) == (4, 4))
            #expect(try store.count(prefix: "a/") == 1)
            try store.check()
        }
        await running.server.stop()
    }

    @Test func twoServersShareOneStore() async throws {
        let folder = StoreFolder()
        let running = try await RunningStore.start(folder)
        try await withRemote(port: running.port) { one in
            let object = try await one.create("a/1", document(1))
            try await withRemote(port: running.port) { two in
                #expect(try two.get("a/1")?.document == object.document)
                let watch = try one.watch(prefix: "a/", after: 1, failure: { _ in -1 }, transform: { Int($0.object.revision) })
                let seen = try #require(try two.get("a/1"))
                _ = try await two.update(seen, document(2))
                await #expect(throws: StoreProblem.changed(key: "a/1")) { try await one.update(object, document(3)) }
                // The refusal came behind the other's row.
                #expect(try one.get("a/1")?.document["value"] == 2)
                let first = await watch.events.first { _ in true }
                #expect(first == 2)
            }
        }
        await running.server.stop()
    }

    @Test func tenThousandObjectsAreListedInPagesAtOneRevision() async throws {
        let folder = StoreFolder()
        let running = try await RunningStore.start(folder)
        try await withRemote(port: running.port) { store in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<20 {
                    group.addTask { for index in 0..<500 { _ = try await store.create("a/\(writer * 500 + index)", document(index)) } }
                }
                try await group.waitForAll()
            }
            #expect(store.revision == 10_000)
            var keys: [String] = []
            var last: String?
            while true {
                let page = try store.list(prefix: "a/", after: last, limit: 900, at: 10_000)
                keys += page.objects.map(\.key)
                last = page.objects.last?.key
                if !page.hasMore { break }
                #expect(page.remaining == 10_000 - keys.count)
                // Changes between the pages do not show.
                let object = try #require(try store.get("a/\(keys.count)"))
                _ = try await store.delete(object, object.document)
                _ = try await store.create("a/between-\(keys.count)", document(0))
            }
            #expect(keys.count == 10_000)
            #expect(keys == keys.sorted())
            #expect(try store.count(prefix: "a/") == 10_000)
        }
        // Another one loads all of it.
        try await withRemote(port: running.port) { store in
            let count = try store.count(prefix: "a/")
            #expect(count == 10_000)
        }
        await running.server.stop()
    }

    @Test func writesWaitForARestartAndWatchesGoOn() async throws {
        let folder = StoreFolder()
        let running = try await RunningStore.start(folder)
        let port = running.port
        try await withRemote(port: port) { store in
            let watch = try store.watch(prefix: "a/", after: 0, failure: { _ in -1 }, transform: { Int($0.object.revision) })
            let writes = 600
            async let done: Void = withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<6 {
                    group.addTask {
                        for index in 0..<writes / 6 { _ = try await store.create("a/\(writer)-\(index)", document(index)) }
                    }
                }
                try await group.waitForAll()
            }
            var server = running.server
            for _ in 0..<5 {
                try await Task.sleep(for: .milliseconds(20))
                await server.stop()
                server = try await RunningStore.start(folder, port: port).server
            }
            try await done
            var seen: [Int] = []
            for await revision in watch.events {
                seen.append(revision)
                if seen.count == writes || revision < 0 { break }
            }
            let isComplete = seen.elementsEqual(1...writes)
            #expect(isComplete)
            #expect(try store.count(prefix: "a/") == writes)
            await server.stop()
        }
    }

    @Test func aKilledProcessLosesNothingThatWasAnswered() async throws {
        let folder = StoreFolder()
        let port = try await freePort()
        let path = folder.file
        let killAt = Int64.random(in: 200...900)
        try await withRemote(port: port, isReady: false) { store in
            let acknowledged = Ledger()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<8 {
                    group.addTask {
                        for index in 0..<200 {
                            let object = try await store.create("a/\(writer)-\(index)", document(index))
                            acknowledged.note(object)
                        }
                    }
                }
                // The process that holds the store dies in the middle of what is written.
                await #expect(processExitsWith: .signal(SIGKILL)) {
                    [path = path as String, port = port as UInt16, killAt = killAt as Int64] in
                    let server = try StoreServer(
                        StoreServerConfiguration(file: path, clients: [StoreListen(host: "127.0.0.1", port: port, isSecure: false)])
                    ) { _ in }
                    _ = try await server.start()
                    while true {
                        try await Task.sleep(for: .microseconds(100))
                        if await server.newest >= killAt { kill(getpid(), SIGKILL) }
                    }
                }
                // It comes back, here.
                let running = try await RunningStore.start(folder, port: port)
                try await group.waitForAll()
                let table = try running.server.table.rows(after: 0, limitRows: 10_000, limitBytes: 1 << 30)
                let stored = Dictionary(uniqueKeysWithValues: table.map { ($0.key, $0.id) })
                #expect(stored == acknowledged.all)
                #expect(stored.count == 1_600)
                await running.server.stop()
            }
        }
    }

    @Test func aKilledClientHasWhatItWasAnswered() async throws {
        let folder = StoreFolder()
        let running = try await RunningStore.start(folder)
        let acknowledged = folder.write("acknowledged", "")
        await #expect(processExitsWith: .signal(SIGKILL)) { [port = running.port as UInt16, acknowledged = acknowledged as String] in
            let log = open(acknowledged, O_WRONLY | O_APPEND)
            try await withRemote(port: port) { store in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for writer in 0..<8 {
                        group.addTask {
                            for index in 0..<10_000 {
                                let object = try await store.create("a/\(writer)-\(index)", document(index))
                                write(log, "x", 1)
                                // In the middle of what the others write.
                                if object.revision == 700 { kill(getpid(), SIGKILL) }
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }
        var size = stat()
        #expect(stat(acknowledged, &size) == 0)
        let answered = Int(size.st_size)
        #expect(answered > 600)
        try await withRemote(port: running.port) { store in
            let stored = try store.list(prefix: "a/").objects
            #expect(stored.count >= answered)
            #expect(stored.allSatisfy { $0.document["metadata"]?["resourceVersion"]?.string == String($0.revision) })
            let next = try await store.create("b/1", document(0))
            #expect(next.revision == Int64(stored.count + 1))
        }
        await running.server.stop()
    }

    @Test func withoutTheProcessReadsAndWritesSayWhatUpstreamSays() async throws {
        let port = try await freePort()
        let folder = StoreFolder()
        try await withRemote(port: port, isReady: false) { store in
            #expect(throws: StoreProblem.unreachable) { try store.get("a/1") }
            #expect(throws: StoreProblem.unreachable) { try store.check() }
            #expect(StoreProblem.unreachable.message == "etcdserver: request timed out")
            // What is asked for meanwhile is done when it comes.
            async let written = store.create("a/1", document(1))
            let running = try await RunningStore.start(folder, port: port)
            let object = try await written
            #expect(object.revision == 1)
            #expect(try store.get("a/1") != nil)
            await running.server.stop()
        }
    }

    @Test func anotherHistoryEndsWatches() async throws {
        let folder = StoreFolder()
        let running = try await RunningStore.start(folder)
        let port = running.port
        try await withRemote(port: port) { store in
            for index in 0..<5 { _ = try await store.create("a/\(index)", document(index)) }
            let watch = try store.watch(prefix: "a/", after: 5, failure: { _ in -1 }, transform: { Int($0.object.revision) })
            await running.server.stop()
            let other = StoreFolder()
            let second = try await RunningStore.start(other, port: port)
            let first = await watch.events.first { _ in true }
            #expect(first == -1)
            #expect(try store.count(prefix: "a/") == 0)
            #expect(try await store.create("a/0", document(0)).revision == 1)
            await second.server.stop()
        }
    }

    @Test func compactionIsFollowed() async throws {
        let folder = StoreFolder()
        let running = try await RunningStore.start(folder)
        try await withRemote(port: running.port) { store in
            var object = try await store.create("a/1", document(0))
            for value in 1...9 { object = try await store.update(object, document(value)) }
            let other = try await store.create("a/2", document(0))
            _ = try await store.delete(other, other.document)
            await running.server.compactNow()
            // Answered behind the news of the compaction.
            _ = try await store.create("b/1", document(0))
            #expect(throws: StoreProblem.compacted(oldest: 11)) { try store.list(prefix: "a/", at: 5) }
            #expect(throws: StoreProblem.compacted(oldest: 11)) {
                try store.watch(prefix: "a/", after: 5, failure: { _ in 0 }, transform: { _ in 0 })
            }
            #expect(try store.list(prefix: "a/").objects.map { $0.document["value"] } == [9])
            #expect(try running.server.table.rows(after: 0, limitRows: 100, limitBytes: 1 << 20).map(\.id) == [10, 11, 12, 13])
        }
        try await withRemote(port: running.port) { store in
            let keys = try store.list(prefix: "").objects.map(\.key)
            #expect(keys == ["a/1", "b/1"])
            #expect(store.revision == 13)
        }
        await running.server.stop()
    }

    @Test func aFullDiskRefusesInUpstreamsWordsAndGoesOnWhenThereIsRoom() async throws {
        let folder = StoreFolder()
        let running = try await RunningStore.start(folder)
        try await withRemote(port: running.port) { store in
            let first = try await store.create("a/1", document(1))
            let large: JSON = ["metadata": .emptyObject, "data": JSON(String(repeating: "x", count: 200_000))]
            let table = running.server.table
            try await WebLoop.run { try table.database.write { try $0.execute("PRAGMA max_page_count = 20") } }
            await #expect(throws: StoreProblem.noSpace) { try await store.create("a/2", large) }
            #expect(StoreProblem.noSpace.message == "etcdserver: mvcc: database space exceeded")
            #expect(try store.get("a/2") == nil)
            #expect(try await store.update(first, document(2)).revision == 2)
            try await WebLoop.run { try table.database.write { try $0.execute("PRAGMA max_page_count = 100000") } }
            #expect(try await store.create("a/2", large).revision == 3)
        }
        await running.server.stop()
    }

    @Test func tooLargeAnObjectIsRefused() async throws {
        let folder = StoreFolder()
        let running = try await RunningStore.start(folder)
        try await withRemote(port: running.port) { store in
            let large: JSON = ["metadata": .emptyObject, "data": JSON(String(repeating: "x", count: ClusterStore.objectLimitBytes))]
            await #expect(throws: StoreProblem.tooLarge(limitBytes: ClusterStore.objectLimitBytes)) { try await store.create("a/1", large) }
            let most: JSON = [
                "metadata": .emptyObject, "data": JSON(String(repeating: "x", count: ClusterStore.objectLimitBytes - 100)),
            ]
            let object = try await store.create("a/1", most)
            #expect(object.bytes.count < ClusterStore.objectLimitBytes)
        }
        await running.server.stop()
    }

    @Test func aDamagedFileIsNamed() throws {
        let folder = StoreFolder()
        _ = folder.write("store.db", String(repeating: "this is no database ", count: 500))
        #expect {
            _ = try StoreServer(folder.configuration()) { _ in }
        } throws: { error in
            let text = "\(error)"
            return text.contains(folder.file) && text.contains("not a database")
        }
    }
}
