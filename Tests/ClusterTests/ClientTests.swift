// The client's own parts: lines of a watch and the work queue.
import ClusterModel
import Essentials
import Synchronization
import Testing

@testable import ClusterClient

@Suite struct ClientTests {
    /// Answers each request with the next of its answers.
    final class ScriptedTransport: ClusterTransport {
        private let answers: Mutex<[APIResponse]>
        let requests = Mutex<[APIRequest]>([])
        init(_ answers: [APIResponse]) { self.answers = Mutex(answers) }
        func send(_ request: APIRequest) async -> APIResponse {
            requests.withLock { $0.append(request) }
            return answers.withLock { $0.isEmpty ? APIResponse(status: 500, body: .bytes([])) : $0.removeFirst() }
        }
    }

    static func stream(_ chunks: [String]) -> APIResponse {
        APIResponse(
            status: 200,
            body: .stream(
                AsyncStream { continuation in
                    for chunk in chunks { continuation.yield(Array(chunk.utf8)) }
                    continuation.finish()
                }))
    }

    @Test func linesAreCutWhereTheyEndNotWhereChunksDo() async throws {
        let transport = ScriptedTransport([
            Self.stream([
                #"{"type":"ADDED","obj"#, #"ect":{"a":1}}"#, "\n\n", #"{"type":"DELETED","object":{"a":2}}"# + "\n" + #"{"type":"BOOK"#,
            ])
        ])
        var seen: [WatchEvent] = []
        for try await event in ClusterClient(transport: transport).watch(.pods) { seen.append(event) }
        #expect(seen == [WatchEvent(kind: .added, object: ["a": 1]), WatchEvent(kind: .deleted, object: ["a": 2])])
    }

    @Test func anErrorLineEndsTheWatch() async throws {
        let line = #"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}"# + "\n"
        let transport = ScriptedTransport([Self.stream([line])])
        do {
            for try await _ in ClusterClient(transport: transport).watch(.pods) { Issue.record("no event was sent") }
            Issue.record("the watch should have failed")
        } catch let problem as ClusterProblem {
            #expect(problem.isExpired)
        }
    }

    @Test func anAnswerThatIsNoStatusIsAProblemToo() async throws {
        let transport = ScriptedTransport([APIResponse(status: 502, body: .bytes(Array("<html>".utf8)))])
        do {
            _ = try await ClusterClient(transport: transport).get(.pods, namespace: "a", name: "b")
            Issue.record("that is no success")
        } catch {
            #expect(error.code == 502)
        }
    }

    @Test func pathsAreEscaped() {
        #expect(GroupVersionResource.pods.path(namespace: "a", name: "b", subresource: "log") == "/api/v1/namespaces/a/pods/b/log")
        #expect(
            GroupVersionResource.leases.path(namespace: "a/b", name: "c d") == "/apis/coordination.k8s.io/v1/namespaces/a%2Fb/leases/c%20d")
        #expect(PathText.unescape("a%2Fb") == "a/b")
        #expect(PathText.unescape("%zz") == nil)
    }

    @Test func anInformerListsAgainWhenItsVersionIsGone() async throws {
        func pod(_ name: String, _ version: String) -> JSON {
            ["metadata": ["name": JSON(name), "namespace": "n", "resourceVersion": JSON(version)]]
        }
        func list(_ items: [JSON], _ version: String) -> APIResponse {
            APIResponse(status: 200, body: .object(["metadata": ["resourceVersion": JSON(version)], "items": .array(items)]))
        }
        let expired = #"{"type":"ERROR","object":{"code":410,"reason":"Expired","message":"too old"}}"# + "\n"
        let transport = ScriptedTransport([
            list([pod("a", "1"), pod("b", "2")], "2"), Self.stream([expired]), list([pod("b", "2"), pod("c", "3")], "3"),
            APIResponse(status: 200, body: .stream(AsyncStream { _ in })),
        ])
        let informer = Informer(client: ClusterClient(transport: transport), resource: .pods)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await informer.run() }
            var live: Set<String> = []
            for await change in informer.changes() {
                switch change {
                case .added(let object), .modified(let object): live.insert(object.metaName)
                case .deleted(let object): live.remove(object.metaName)
                }
                if live == ["b", "c"] { break }
            }
            group.cancelAll()
        }
        #expect(Set(informer.items().map(\.metaName)) == ["b", "c"])
        #expect(transport.requests.withLock { $0.count } >= 3)
    }

    @Test func aKeyIsWorkedOnOnceAtATimeAndAgainWhenItFailed() async throws {
        let queue = WorkQueue()
        struct Failure: Error {}
        final class Tally: Sendable { let counts = Mutex<[String: Int]>([:]) }
        let tally = Tally()
        let (stream, done) = AsyncStream.makeStream(of: Void.self)
        for _ in 0..<5 { queue.add("a") }
        queue.add("b")
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                try? await queue.run(workers: 3) { key in
                    let count = tally.counts.withLock { counts in
                        counts[key, default: 0] += 1
                        return counts[key] ?? 0
                    }
                    if key == "b", count < 3 { throw Failure() }
                    if key == "b" { done.finish() }
                }
            }
            for await _ in stream {}
            group.cancelAll()
        }
        #expect(tally.counts.withLock { $0 } == ["a": 1, "b": 3])
    }
}
