// The kubectl that lessons of 2017 were written for: what of a command line means something else today, and what to do then.
//
// Decisions only: `decide` looks at the words, the component runs the real kubectl. Whatever is not named here is passed on
// untouched, so that everything of today works beside it.
package import Essentials

package enum ClassicKubectl {
    package enum Action: Sendable, Equatable {
        /// The real kubectl with these words, in the place of this process.
        case pass([String])
        /// `kubectl create -f -` with this object; `note` says it in today's words.
        case create(JSON, options: [String], note: String)
        /// `kubectl WORDS -o json`, shown without what a cluster adds.
        case export([String], yaml: Bool)
        /// The types of resources there are.
        case listTypes
    }

    /// Flags of kubectl that take a value, before or behind its command.
    private static let globalFlags: Set<String> = [
        "--as", "--as-group", "--as-uid", "--cache-dir", "--certificate-authority", "--client-certificate", "--client-key", "--cluster",
        "--context", "--kubeconfig", "--namespace", "--password", "--request-timeout", "--server", "--tls-server-name", "--token", "--user",
        "--username", "-n", "-s", "-v", "--v",
    ]

    package static func decide(_ words: [String]) -> Action {
        guard let index = commandIndex(words) else { return .pass(words) }
        switch words[index] {
        case "run": return ClassicRun(words, commandAt: index).action ?? .pass(words)
        case "get", "g":
            if words.contains(where: { $0 == "--export" || $0 == "--export=true" }) { return export(words) }
            let rest = words[(index + 1)...]
            let isBare = words[index] == "get" && rest.isEmpty
            return isBare ? .listTypes : .pass(words)
        default: return .pass(words)
        }
    }

    static func commandIndex(_ words: [String]) -> Int? {
        var index = 0
        while index < words.count {
            let word = words[index]
            if word == "--" { return nil }
            if !word.hasPrefix("-") { return index }
            index += globalFlags.contains(word) ? 2 : 1
        }
        return nil
    }

    static func isGlobalFlag(_ word: String) -> Bool { globalFlags.contains(word) }

    private static func export(_ words: [String]) -> Action {
        var rest: [String] = []
        var format: String?
        var index = 0
        while index < words.count {
            let word = words[index]
            if word == "--export" || word.hasPrefix("--export=") {
                // Dropped: today's kubectl has none.
            } else if word == "-o" || word == "--output" {
                format = index + 1 < words.count ? words[index + 1] : nil
                index += 1
            } else if word.hasPrefix("--output=") || word.hasPrefix("-o") {
                format = String(word.drop { $0 != "=" }.dropFirst())
                if word.hasPrefix("-o"), !word.contains("=") { format = String(word.dropFirst(2)) }
            } else {
                rest.append(word)
            }
            index += 1
        }
        guard format == "yaml" || format == "json" else { return .pass(rest + (format.map { ["-o", $0] } ?? [])) }
        return .export(rest, yaml: format == "yaml")
    }

    /// An object without what the cluster gave it, as `get --export` showed it.
    package static func exported(_ object: JSON) -> JSON {
        if let items = object["items"]?.array {
            var list = object
            list["items"] = .array(items.map(exported))
            return list
        }
        var result = object
        for key in ["namespace", "uid", "resourceVersion", "generation", "selfLink", "managedFields", "ownerReferences", "generateName"] {
            result[path: ["metadata", key]] = nil
        }
        result[path: ["metadata", "creationTimestamp"]] = JSON.null
        switch object["kind"]?.string {
        case "Service":
            if object["spec"]?["clusterIP"] != "None" {
                result[path: ["spec", "clusterIP"]] = nil
                result[path: ["spec", "clusterIPs"]] = nil
            }
        case "Pod": result[path: ["spec", "nodeName"]] = nil
        // The API of those days set no deadline by itself.
        case "Deployment": if object["spec"]?["progressDeadlineSeconds"] == 600 { result[path: ["spec", "progressDeadlineSeconds"]] = nil }
        default: break
        }
        if object["status"] != nil { result["status"] = .emptyObject }
        return result
    }
}
