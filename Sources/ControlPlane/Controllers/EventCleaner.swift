// Removes Events an hour after they last happened.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

struct EventCleaner: Controller {
    static let keepSeconds = 3600.0
    static let periodSeconds = 300
    /// Events looked at in one request.
    static let pageLimitEvents = 500

    let client: ClusterClient
    let clock: any WallClock

    func run() async throws {
        while true {
            try await Task.sleep(for: .seconds(Self.periodSeconds))
            do throws(ClusterProblem) { try await clean() } catch { continue }
        }
    }

    func clean() async throws(ClusterProblem) {
        let now = clock.now()
        var token: String?
        repeat {
            let page = try await client.list(.events, options: ListOptions(limit: Self.pageLimitEvents, continueToken: token))
            for event in page.items where Self.isOld(event, at: now) {
                do throws(ClusterProblem) { try await client.delete(.events, namespace: event.metaNamespace, name: event.metaName) } catch {
                    if !error.isNotFound { throw error }
                }
            }
            token = page.continueToken
        } while token != nil
    }

    static func isOld(_ event: JSON, at now: Timestamp) -> Bool {
        let times = [
            event["series"]?["lastObservedTime"], event["lastTimestamp"], event["eventTime"], event["metadata"]?["creationTimestamp"],
        ]
        guard let last = times.lazy.compactMap({ $0?.string.flatMap(Timestamp.init(rfc3339:)) }).first else { return true }
        return now.since(last) > keepSeconds
    }
}
