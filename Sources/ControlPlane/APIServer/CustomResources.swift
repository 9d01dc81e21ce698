// Serves what CustomResourceDefinitions define: follows them, takes their kinds into the schema, and cleans up behind them.
//
// The definitions are ordinary objects. `APIServer.followDefinitions` runs as long as the server; each change makes a new
// schema, which requests see from then on. A definition that goes takes its objects with it.
internal import ClusterModel
internal import ClusterStore
internal import Essentials
internal import Logging
internal import Synchronization

/// The schema of now: what is built in and what was defined.
final class SchemaBox: Sendable {
    struct State {
        var schema: Schema
        var scales: [GroupVersionResource: APIServer.ScalePaths] = [:]
        /// Served kinds by the name of their definition.
        var custom: [String: [CustomKind]] = [:]
    }

    private let base: Schema
    private let state: Mutex<State>

    init(_ base: Schema) {
        self.base = base
        state = Mutex(State(schema: base))
    }

    var schema: Schema { state.withLock { $0.schema } }

    func scale(of resource: GroupVersionResource) -> APIServer.ScalePaths {
        state.withLock { $0.scales[resource] } ?? APIServer.ScalePaths()
    }

    /// Puts `kinds` in the place of what the definition served before.
    func set(_ definition: String, _ kinds: [CustomKind]?) {
        state.withLock { state in
            state.custom[definition] = kinds
            let all = state.custom.sorted { $0.key < $1.key }.flatMap(\.value)
            state.schema = Schema(
                kinds: base.kinds + all.map(\.kind),
                types: all.isEmpty ? base.types : TypeTable(base: base.types, adding: all.flatMap(\.types)))
            state.scales = [:]
            for kind in all {
                guard let spec = kind.specReplicas else { continue }
                state.scales[kind.kind.resource] = APIServer.ScalePaths(
                    spec: spec, status: kind.statusReplicas, selector: kind.scaleSelector)
            }
        }
    }

    /// The kinds a definition serves.
    func kinds(of definition: String) -> [CustomKind] { state.withLock { $0.custom[definition] ?? [] } }

    /// The first of a definition's names that another kind of its group has; with the reason as upstream names it.
    func conflict(_ names: JSON, group: String, definition: String) -> (reason: String, message: String)? {
        let (schema, own) = state.withLock { ($0.schema, Set(($0.custom[definition] ?? []).map(\.kind.resource.resource))) }
        let others = schema.kinds.filter { $0.resource.group == group && !own.contains($0.resource.resource) }
        func taken(_ name: String, _ of: (Kind) -> [String]) -> Bool { !name.isEmpty && others.contains { of($0).contains(name) } }
        let words: (Kind) -> [String] = { [$0.resource.resource, $0.singular] + $0.shortNames }
        for (field, reason) in [("plural", "PluralConflict"), ("singular", "SingularConflict")] {
            if let name = names[field]?.string, taken(name, words) { return (reason, "\"\(name)\" is already in use") }
        }
        for name in (names["shortNames"]?.array ?? []).compactMap(\.string) where taken(name, words) {
            return ("ShortNamesConflict", "\"\(name)\" is already in use")
        }
        if let name = names["kind"]?.string, taken(name, { [$0.name, $0.listName] }) {
            return ("KindConflict", "\"\(name)\" is already in use")
        }
        return nil
    }
}

extension APIServer {
    static let cleanupFinalizer = "customresourcecleanup.apiextensions.k8s.io"
    /// How often what is left of a definition's objects is looked for, while some wait for finalizers.
    private static let cleanupSeconds = 0.5

    private enum DefinitionEvent: Sendable {
        case changed(JSON)
        case gone(String)
        case missed
    }

    /// Follows definitions until cancelled.
    package func followDefinitions() async {
        guard let kind = schema.kind(.customResourceDefinitions) else { return }
        let prefix = kind.storePrefix
        while !Task.isCancelled {
            do throws(StoreProblem) {
                let list = try store.list(prefix: prefix)
                for object in list.objects { await serve(definition: object.document) }
                let watch = try store.watch(prefix: prefix, after: list.revision, failure: { _ in DefinitionEvent.missed }) { event in
                    event.kind == .deleted ? .gone(event.object.document.metaName) : .changed(event.object.document)
                }
                for await event in watch.events {
                    switch event {
                    case .changed(let definition): await serve(definition: definition)
                    case .gone(let name): schemas.set(name, nil)
                    case .missed: break
                    }
                }
            } catch {
                logger.warning("custom resources are not followed now", metadata: ["problem": "\(error.message)"])
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    private func serve(definition: JSON) async {
        let name = definition.metaName
        if definition.isBeingDeleted { return await cleanUp(definition) }
        let spec = definition["spec"] ?? .null
        var names = spec["names"] ?? .emptyObject
        let kindName = names["kind"]?.string ?? ""
        if names["singular"]?.string?.isEmpty ?? true { names["singular"] = JSON(kindName.lowercased()) }
        if names["listKind"]?.string?.isEmpty ?? true { names["listKind"] = JSON(kindName + "List") }
        var accepted = (isTrue: true, reason: "NoConflicts", message: "no conflicts found")
        var established = (isTrue: true, reason: "InitialNamesAccepted", message: "the initial names have been accepted")
        if let conflict = schemas.conflict(names, group: spec["group"]?.string ?? "", definition: name) {
            accepted = (false, conflict.reason, conflict.message)
            established = (false, "NotAccepted", "not all names are accepted")
            schemas.set(name, nil)
        } else {
            var served = definition
            served[path: ["status", "acceptedNames"]] = names
            do throws(PatchFailure) { schemas.set(name, try CustomKinds.make(from: served)) } catch {
                established = (false, "InvalidSchema", error.message)
            }
        }
        let now = clock.now().rfc3339
        let storage = (spec["versions"]?.array ?? []).first { $0["storage"] == true }?["name"] ?? ""
        await change(definition) { object in
            var conditions = object["status"]?["conditions"]?.array ?? []
            for (type, state) in [("NamesAccepted", accepted), ("Established", established)] {
                let status: JSON = state.isTrue ? "True" : "False"
                let old = conditions.first { $0["type"]?.string == type }
                if old?["status"] == status, old?["reason"]?.string == state.reason { continue }
                conditions.removeAll { $0["type"]?.string == type }
                conditions.append([
                    "type": JSON(type), "status": status, "reason": JSON(state.reason), "message": JSON(state.message),
                    "lastTransitionTime": JSON(now),
                ])
            }
            object[path: ["status", "conditions"]] = .array(conditions)
            if accepted.isTrue { object[path: ["status", "acceptedNames"]] = names }
            var stored = object["status"]?["storedVersions"]?.array ?? []
            if !stored.contains(storage) { stored.append(storage) }
            object[path: ["status", "storedVersions"]] = .array(stored)
        }
    }

    /// Writes a change of our own into a definition; nothing where nothing changes.
    private func change(_ definition: JSON, _ body: (inout JSON) -> Void) async {
        guard let kind = schema.kind(.customResourceDefinitions) else { return }
        for _ in 0..<Self.conflictAttempts {
            guard let old = (try? store.get(kind.storeKey(namespace: nil, name: definition.metaName))) ?? nil,
                old.document.metaUID == definition.metaUID
            else { return }
            var object = old.document
            body(&object)
            if object == old.document { return }
            do throws(StoreProblem) {
                _ = try await Self.isFinished(object, kind) ? store.delete(old, object) : store.update(old, object)
                return
            } catch {
                guard case .changed = error else {
                    return logger.warning("a definition was not written", metadata: ["problem": "\(error.message)"])
                }
            }
        }
    }

    private func cleanUp(_ definition: JSON) async {
        guard definition.metaFinalizers.contains(Self.cleanupFinalizer) else { return }
        let kinds = schemas.kinds(of: definition.metaName)
        if let kind = kinds.first?.kind {
            while !Task.isCancelled {
                let left = ((try? store.list(prefix: kind.storePrefix))?.objects ?? []).map(\.document)
                if left.isEmpty { break }
                for object in left where !object.isBeingDeleted {
                    let target = ResourceTarget(
                        kind: kind, namespace: kind.isNamespaced ? object.metaNamespace : nil, name: object.metaName, subresource: nil)
                    _ = try? await delete(target, Deletion(isDryRun: false))
                }
                if ((try? store.count(prefix: kind.storePrefix)) ?? 0) == 0 { break }
                try? await Task.sleep(for: .seconds(Self.cleanupSeconds))
            }
        }
        await change(definition) { object in
            let rest = object.metaFinalizers.filter { $0 != Self.cleanupFinalizer }
            object["metadata"]?["finalizers"] = JSON(rest)
        }
    }
}
