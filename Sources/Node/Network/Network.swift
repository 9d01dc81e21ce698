// Networks of labs: a router namespace with a bridge for each Namespace, a cable from it to every pod, and nothing else.
//
//     pod eth0 172.30.0.11 ──┐
//     pod eth0 172.30.0.12 ──┴─ br0 172.30.0.1 (router namespace, owned by the host) ── up0 (only with open egress) ── host
//
// All labs have the same addresses. Without egress there is no cable to the host, so there is nothing to filter: other
// labs, the host and its loopback are out of reach by construction. Everything that a node sends elsewhere ends at the
// router, where every address counts as local (a fallback table behind the main one): TCP is reset and UDP answered with
// "port unreachable" at once, never dropped, and a service bound in the router's namespace can stand in for the internet.
// Frames carry the port's own hardware address or are dropped, and the router knows its nodes' addresses by heart.
internal import Essentials
package import Kernel

package enum NetworkProblem: Problem, Equatable {
    case addressTaken(String)
    case noAddressLeft
    case filterFailed(String)
    case kernel(KernelProblem)

    package var reason: String {
        switch self {
        case .addressTaken: "AddressTaken"
        case .noAddressLeft: "NoAddressLeft"
        case .filterFailed: "PacketFilterFailed"
        case .kernel(let problem): problem.reason
        }
    }
    package var message: String {
        switch self {
        case .addressTaken(let address): "The address \(address) already belongs to another node of this lab."
        case .noAddressLeft: "The lab's network is full."
        case .filterFailed: "The packet filter could not be set up. Is the package `nftables` installed?"
        case .kernel(let problem): problem.message
        }
    }
    package var cause: String? {
        switch self {
        case .filterFailed(let text): text
        case .kernel(let problem): problem.cause
        default: nil
        }
    }
}

/// What may leave a lab.
package enum Egress: Sendable, Equatable {
    case none
    /// The internet, but no private, link-local or host address.
    case open
}

/// The addresses of every lab.
package struct LabAddresses: Sendable {
    package static let network = IPv4Block(IPv4(0xAC1E_0000), 24)
    package static let router = IPv4(0xAC1E_0001)
    /// The first pod's; others follow.
    package static let firstPod = IPv4(0xAC1E_000B)
    package static let lastPod = IPv4(0xAC1E_00FE)

    /// The address a pod gets: what it asks for, or the first free one.
    package static func choose(wanted: String?, taken: Set<IPv4>) throws(NetworkProblem) -> IPv4 {
        if let wanted {
            guard let address = IPv4(wanted), network.contains(address), address != router, address <= lastPod, !taken.contains(address)
            else {
                throw .addressTaken(wanted)
            }
            return address
        }
        var candidate = firstPod
        while taken.contains(candidate) { candidate.value += 1 }
        guard candidate <= lastPod else { throw .noAddressLeft }
        return candidate
    }
}
