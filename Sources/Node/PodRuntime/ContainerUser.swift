// Who a container runs as: its securityContext, its image's USER, and the names in its own /etc/passwd and /etc/group.
package import Essentials
package import Pods

/// Ids of a process, all resolved.
package struct ContainerUser: Sendable, Hashable {
    package var user: UInt32
    package var group: UInt32
    /// With the primary group first, as container runtimes have it.
    package var groups: [UInt32]
    package init(user: UInt32, group: UInt32, groups: [UInt32]) {
        self.user = user
        self.group = group
        self.groups = groups
    }
}

package enum UserChoice {
    /// The texts of /etc/passwd and /etc/group, empty where there are none.
    package struct Accounts: Sendable {
        package var passwd: String
        package var group: String
        package init(passwd: String, group: String) {
            self.passwd = passwd
            self.group = group
        }
    }

    private static func lines(_ text: String) -> [[Substring]] {
        text.split(separator: "\n").map { $0.split(separator: ":", omittingEmptySubsequences: false) }
    }

    package static func resolve(_ context: JSON, imageUser: String, accounts: Accounts) throws(PodRuntimeProblem) -> ContainerUser {
        let passwd = lines(accounts.passwd)
        let groupLines = lines(accounts.group)
        var name: String?
        let user: UInt32
        var group: UInt32?
        if let wanted = context["runAsUser"]?.integer {
            user = UInt32(clamping: wanted)
        } else {
            let parts = imageUser.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let wanted = parts.first ?? ""
            if wanted.isEmpty {
                user = 0
            } else if let line = passwd.first(where: { $0.count > 3 && $0[0] == wanted }), let number = UInt32(line[2]) {
                user = number
            } else if let number = UInt32(wanted) {
                user = number
            } else {
                throw refused("unable to find user \(wanted): no matching entries in passwd file")
            }
            if parts.count > 1, !parts[1].isEmpty {
                if let line = groupLines.first(where: { $0.count > 2 && $0[0] == parts[1] }) {
                    group = UInt32(line[2])
                } else if let number = UInt32(parts[1]) {
                    group = number
                } else {
                    throw refused("unable to find group \(parts[1]): no matching entries in group file")
                }
            }
        }
        if let line = passwd.first(where: { $0.count > 3 && UInt32($0[2]) == user }) {
            name = String(line[0])
            if group == nil { group = UInt32(line[3]) }
        }
        if let wanted = context["runAsGroup"]?.integer { group = UInt32(clamping: wanted) }
        let primary = group ?? 0
        var groups = [primary]
        if let name, context["supplementalGroupsPolicy"]?.string != "Strict" {
            for line in groupLines where line.count > 3 && line[3].split(separator: ",").contains(Substring(name)) {
                if let number = UInt32(line[2]) { groups.append(number) }
            }
        }
        groups += (context["supplementalGroups"]?.array ?? []).compactMap { $0.integer.map { UInt32(clamping: $0) } }
        if let own = context["fsGroup"]?.integer { groups.append(UInt32(clamping: own)) }
        var seen: Set<UInt32> = []
        return ContainerUser(user: user, group: primary, groups: groups.filter { seen.insert($0).inserted })
    }

    private static func refused(_ why: String) -> PodRuntimeProblem {
        PodRuntimeProblem(reason: "CreateContainerError", message: "failed to generate container spec: \(why)")
    }

    /// `runAsNonRoot`, with the kubelet's own words.
    package static func checkNonRoot(_ context: JSON, imageUser: String, pod: String, container: String) throws(PodRuntimeProblem) {
        guard context["runAsNonRoot"]?.bool == true else { return }
        func refuse(_ why: String) -> PodRuntimeProblem {
            PodRuntimeProblem(reason: "CreateContainerConfigError", message: "\(why) (pod: \"\(pod)\", container: \(container))")
        }
        if let wanted = context["runAsUser"]?.integer {
            if wanted == 0 { throw refuse("container's runAsUser breaks non-root policy") }
            return
        }
        let name = imageUser.prefix { $0 != ":" }
        if name.isEmpty || Int64(name) == 0 { throw refuse("container has runAsNonRoot and image will run as root") }
        if Int64(name) == nil {
            throw refuse("container has runAsNonRoot and image has non-numeric user (\(name)), cannot verify user is non-root")
        }
    }
}
