// What a kubelet finds of a pod network: the plugin's names in /opt/cni/bin and a configuration in /etc/cni/net.d.
package import Essentials
internal import Glibc
package import Kernel

package struct CNIInstallation: Sendable {
    /// Where the node's /opt/cni/bin and /etc/cni/net.d are seen from here.
    package var programs: String
    package var configurations: String
    /// Where every node has this program.
    package static let program = "/usr/lib/lectern/labkube"

    private let kernel = LinuxKernel()

    package init(programs: String = "/opt/cni/bin", configurations: String = "/etc/cni/net.d") {
        self.programs = programs
        self.configurations = configurations
    }

    /// Links from the names to the program that every node has: they work wherever the kubelet sees them from.
    package func install(_ names: [String]) throws(KernelProblem) {
        try kernel.makeDirectories(programs)
        for name in names where kernel.linkTarget(programs + "/" + name) != Self.program {
            try kernel.replaceLink(programs + "/" + name, to: Self.program)
        }
    }

    /// Writes the configuration; the same text changes nothing.
    package func write(_ name: String, _ configuration: JSON) throws(KernelProblem) {
        try kernel.makeDirectories(configurations)
        let path = configurations + "/" + name
        let text = configuration.text + "\n"
        if (try? kernel.readText(path)) == text { return }
        try kernel.replace(path, text: text)
    }

    /// The configuration of a network whose plugin is told its subnet directly.
    package static func list(name: String, plugin: String, subnet: IPv4Block) -> JSON {
        [
            "cniVersion": "1.0.0", "name": JSON(name),
            "plugins": [
                [
                    "name": JSON(name), "type": JSON(plugin), "hairpinMode": true,
                    "ipam": ["type": "host-local", "subnet": JSON("\(subnet)")],
                ],
                ["type": "portmap", "capabilities": ["portMappings": true], "snat": true],
            ],
        ]
    }

    /// The network in flannel's net-conf.json.
    package static func flannelNetwork(_ text: String) throws(PodNetworkProblem) -> IPv4Block {
        guard let network = (try? JSON(parsing: Array(text.utf8)))?["Network"]?.string.flatMap({ IPv4Block($0) }) else {
            throw .badConfiguration("error parsing subnet config: net-conf.json names no IPv4 Network")
        }
        return network
    }

    /// What flannel's plugin reads.
    package static func flannelEnvironment(network: IPv4Block, subnet: IPv4Block, mtu: UInt32, masquerades: Bool) -> String {
        """
        FLANNEL_NETWORK=\(network)
        FLANNEL_SUBNET=\(IPv4(subnet.base.value + 1))/\(subnet.prefixLength)
        FLANNEL_MTU=\(mtu)
        FLANNEL_IPMASQ=\(masquerades)

        """
    }
}
