// Pods' addresses and routes: the CNI plugin, the daemon that joins the nodes' pod networks, and network policies.
//
//     pod eth0 10.32.11.5 ── veth ──┐                                   ┌── veth ── pod eth0 10.32.12.7
//     pod eth0 10.32.11.6 ── veth ──┴─ node1 172.30.0.11 ── eth0 ── node2 172.30.0.12
//
// Every pod hangs on a cable of its own that the node routes: a route to the pod's one address leads into the cable, and the
// pod's default route leads out of it. There is a bridge too, with the name that the configuration asks for, but only as the
// place of the gateway's address; no cable is plugged into it. So every packet between pods passes the node's packet filter
// once, whether the other pod is here or elsewhere: services and policies need no filtering of bridged frames.
//
// May touch: links, routes, packet filter tables of its own, /var/lib/cni and the CNI directories. Callers: labkube.
internal import Essentials
package import Kernel

package enum PodNetworkProblem: Problem, Equatable {
    /// A node's pods have no network yet.
    case noSubnet(String)
    case subnetTaken(String, by: String)
    case nodeUnknown(String)
    case badConfiguration(String)
    case kernel(KernelProblem)

    /// Whether waiting may help: others write a node's address and subnet.
    var mayPass: Bool {
        switch self {
        case .noSubnet, .nodeUnknown: true
        case .subnetTaken, .badConfiguration, .kernel: false
        }
    }

    package var reason: String {
        switch self {
        case .noSubnet: "NoPodSubnet"
        case .subnetTaken: "PodSubnetTaken"
        case .nodeUnknown: "NodeUnknown"
        case .badConfiguration: "BadNetworkConfiguration"
        case .kernel(let problem): problem.reason
        }
    }
    package var message: String {
        switch self {
        case .noSubnet(let node): "node \"\(node)\" pod cidr not assigned"
        case .subnetTaken(let subnet, let node): "the pod network \(subnet) belongs to node \"\(node)\" already"
        case .nodeUnknown(let name): "the cluster has no node \"\(name)\", and none with an address of this machine"
        case .badConfiguration(let detail): detail
        case .kernel(let problem): problem.message
        }
    }
    package var cause: String? {
        if case .kernel(let problem) = self { problem.cause } else { nil }
    }
}
