// Addresses of one network on one node, as files named by address: what the host-local plugin keeps, in its place and form.
//
//     /var/lib/cni/networks/NETWORK/10.32.11.5        the container's id and its interface, one a line
//     /var/lib/cni/networks/NETWORK/last_reserved_ip.0
//
// A file appears with all its content or not at all, so a crash at any point leaves an address either free or owned by a
// container that the kubelet knows and will delete. An address that was given back is the last one to be given again.
internal import Essentials
package import Kernel

package struct AddressPool: Sendable {
    package let directory: String
    private let kernel: LinuxKernel

    package init(network: String, dataDirectory: String = "/var/lib/cni/networks", kernel: LinuxKernel = LinuxKernel()) {
        directory = dataDirectory + "/" + network
        self.kernel = kernel
    }

    /// The range that addresses are taken from.
    package struct Range: Sendable, Equatable {
        package var first: IPv4
        package var last: IPv4
        package var gateway: IPv4
        package var prefixLength: UInt8

        /// All host addresses of `subnet`; the first one is the gateway's unless that is given.
        package init?(subnet: IPv4Block, first: IPv4? = nil, last: IPv4? = nil, gateway: IPv4? = nil) {
            guard subnet.prefixLength <= 30 else { return nil }
            let size = UInt32(1) << (32 - UInt32(subnet.prefixLength))
            self.first = first ?? IPv4(subnet.base.value + 1)
            self.last = last ?? IPv4(subnet.base.value + (size - 2))
            self.gateway = gateway ?? IPv4(subnet.base.value + 1)
            prefixLength = subnet.prefixLength
            guard subnet.contains(self.first), subnet.contains(self.last), self.first <= self.last else { return nil }
        }

        /// The first free address behind `last`, round the range once.
        package func choose(after last: IPv4?, taken: Set<IPv4>) -> IPv4? {
            let count = UInt64(self.last.value) - UInt64(first.value) + 1
            var candidate = last.map { $0 >= first && $0 < self.last ? IPv4($0.value + 1) : first } ?? first
            for _ in 0..<count {
                if candidate != gateway, !taken.contains(candidate) { return candidate }
                candidate = candidate == self.last ? first : IPv4(candidate.value + 1)
            }
            return nil
        }
    }

    /// The container's address: the one it has already, or a free one. Nil when there is none left.
    package func reserve(_ container: String, interface: String, from range: Range, wanted: IPv4? = nil) throws(KernelProblem) -> IPv4? {
        try kernel.makeDirectories(directory)
        let lock = try kernel.lock(directory + "/lock")
        defer { lock.close() }
        var taken: Set<IPv4> = []
        let content = Self.content(container, interface)
        for address in try addresses() {
            if try text(address) == content { return address }
            taken.insert(address)
        }
        let last = (try? kernel.readText(directory + "/last_reserved_ip.0")).flatMap { IPv4($0) }
        while true {
            let candidate: IPv4
            if let wanted, !taken.contains(wanted) {
                candidate = wanted
            } else if wanted == nil, let free = range.choose(after: last, taken: taken) {
                candidate = free
            } else {
                return nil
            }
            if try kernel.claim(directory + "/\(candidate)", Array(content.utf8)) {
                try kernel.replace(directory + "/last_reserved_ip.0", text: "\(candidate)")
                return candidate
            }
            taken.insert(candidate)
        }
    }

    /// The address that the container has.
    package func address(of container: String, interface: String) throws(KernelProblem) -> IPv4? {
        let content = Self.content(container, interface)
        for address in try addresses() where try text(address) == content { return address }
        return nil
    }

    /// Gives back what the container has; nothing is fine.
    package func release(_ container: String, interface: String) throws(KernelProblem) {
        guard kernel.isDirectory(directory) else { return }
        let lock = try kernel.lock(directory + "/lock")
        defer { lock.close() }
        let content = Self.content(container, interface)
        for address in try addresses() where try text(address) == content { try kernel.remove(directory + "/\(address)") }
    }

    /// Gives back what belongs to no container of `valid` (pairs of id and interface).
    package func release(allBut valid: Set<[String]>) throws(KernelProblem) {
        guard kernel.isDirectory(directory) else { return }
        let lock = try kernel.lock(directory + "/lock")
        defer { lock.close() }
        for address in try addresses() {
            let owner = try text(address).split(whereSeparator: \.isNewline).map(String.init)
            if !valid.contains(owner) { try kernel.remove(directory + "/\(address)") }
        }
    }

    /// The containers that have addresses, each as its id and interface.
    package func owners() throws(KernelProblem) -> Set<[String]> {
        var owners: Set<[String]> = []
        for address in try addresses() { owners.insert(try text(address).split(whereSeparator: \.isNewline).map(String.init)) }
        return owners
    }

    private func addresses() throws(KernelProblem) -> [IPv4] { try kernel.list(directory).compactMap { IPv4($0) } }

    private func text(_ address: IPv4) throws(KernelProblem) -> String {
        do throws(KernelProblem) { return try kernel.readText(directory + "/\(address)") } catch {
            if error.code == Errno.noEntry { return "" }
            throw error
        }
    }

    private static func content(_ container: String, _ interface: String) -> String { "\(container)\r\n\(interface)" }
}
