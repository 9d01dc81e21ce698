// Remembers what events were told, so that the same again raises a count and a flood becomes a trickle (upstream's correlator).
//
// The same words about the same object are one event with a count. After ten different messages of one reason about an object
// within ten minutes, the rest is one event: "(combined from similar events)". An object gets 25 events, then one in five minutes.
internal import ClusterModel
internal import Essentials

struct EventMemory {
    /// Events and objects that are remembered; when full, all is forgotten.
    static let limitEntries = 1024
    static let similarLimit = 10
    static let similarSeconds = 600.0
    static let burstEvents = 25.0
    static let secondsPerEvent = 300.0

    enum Decision: Equatable {
        case create(JSON)
        /// The name of the event that is told again, and what changes in it.
        case raise(name: String, namespace: String, JSON)
        case drop
    }

    private var told: [String: (name: String, count: Int)] = [:]
    private var similar: [String: (messages: Set<String>, at: Double)] = [:]
    private var tokens: [String: (left: Double, at: Double)] = [:]

    mutating func decide(_ event: JSON, at now: Double) -> Decision {
        if told.count > Self.limitEntries { told = [:] }
        if similar.count > Self.limitEntries { similar = [:] }
        if tokens.count > Self.limitEntries { tokens = [:] }
        var event = event
        let about = event["involvedObject"] ?? .null
        let object = ["uid", "namespace", "name", "fieldPath"].map { about[$0]?.string ?? "" }.joined(separator: "/")
        let source = (event["source"]?["component"]?.string ?? "") + "/" + object
        let group = source + "/" + (event["type"]?.string ?? "") + "/" + (event["reason"]?.string ?? "")
        let message = event["message"]?.string ?? ""
        var key = group + "/" + message
        var kin = similar[group] ?? (messages: [], at: now)
        if now - kin.at > Self.similarSeconds { kin.messages = [] }
        kin.at = now
        if kin.messages.count < Self.similarLimit { kin.messages.insert(message) }
        if kin.messages.count >= Self.similarLimit, !kin.messages.contains(message) || told[key] == nil {
            event["message"] = JSON("(combined from similar events): " + message)
            key = group
        }
        similar[group] = kin
        guard takeToken(source, now) else { return .drop }
        if let old = told[key] {
            told[key]?.count += 1
            var change: JSON = ["count": JSON(old.count + 1), "lastTimestamp": event["lastTimestamp"] ?? .null]
            change["message"] = event["message"]
            return .raise(name: old.name, namespace: event.metaNamespace ?? "default", change)
        }
        told[key] = (event.metaName, 1)
        return .create(event)
    }

    private mutating func takeToken(_ source: String, _ now: Double) -> Bool {
        var bucket = tokens[source] ?? (left: Self.burstEvents, at: now)
        bucket.left = min(Self.burstEvents, bucket.left + (now - bucket.at) / Self.secondsPerEvent)
        bucket.at = now
        let isAllowed = bucket.left >= 1
        if isAllowed { bucket.left -= 1 }
        tokens[source] = bucket
        return isAllowed
    }

    /// The event of that name is gone: it is to be made anew when it is told again.
    mutating func forget(_ name: String) {
        if let key = told.first(where: { $0.value.name == name })?.key { told[key] = nil }
    }
}
