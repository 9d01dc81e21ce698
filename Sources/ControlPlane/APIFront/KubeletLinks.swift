// Kept connections to the kubelets, by node: for logs, streams and proxied requests.
package import Access
package import ClusterClient
package import ClusterModel
internal import ClusterWire
package import Essentials
internal import Glibc
internal import Synchronization
package import Web

package final class KubeletLinks: KubeletSessions, NodeProxy {
    private struct Link {
        var address: String
        var session: HTTPSession
    }

    /// More of a kubelet's refusal is not told.
    private static let refusalLimitBytes = 4 << 10

    private let client: ClusterClient
    private let files: (certificate: String?, key: String?, authority: String?)
    private let links = Mutex<[String: Link]>([:])

    /// Paths of PEM files. Without an authority, any certificate of a kubelet is taken, as upstream does.
    package init(client: ClusterClient, certificate: String?, key: String?, authority: String? = nil) {
        self.client = client
        files = (certificate, key, authority)
    }

    package func session(node name: String) async throws(ClusterProblem) -> HTTPSession {
        let node = try await client.get(.nodes, name: name)
        let addresses = node["status"]?["addresses"]?.array ?? []
        guard
            let host = ["InternalIP", "Hostname", "ExternalIP"].lazy
                .compactMap({ type in addresses.first { $0["type"]?.string == type }?["address"]?.string }).first
        else { throw .internalError("no preferred addresses found; known addresses: []") }
        let port = node["status"]?["daemonEndpoints"]?["kubeletEndpoint"]?["Port"]?.int.flatMap(UInt16.init(exactly:)) ?? 10250
        let address = "\(host):\(port)"
        let material = try self.material()
        if let known = links.withLock({ $0[name] }), known.address == address {
            do throws(WebProblem) { try known.session.renew(material) } catch { throw Self.unusable(error) }
            return known.session
        }
        do throws(WebProblem) {
            let session = try HTTPSession(host: host, port: port, tls: material)
            links.withLock { $0[name] = Link(address: address, session: session) }
            return session
        } catch {
            throw Self.unusable(error)
        }
    }

    private static func unusable(_ problem: WebProblem) -> ClusterProblem {
        .internalError("the kubelet cannot be asked: \(problem.cause ?? problem.message)")
    }

    private func material() throws(ClusterProblem) -> TLSMaterial {
        func text(_ path: String?) throws(ClusterProblem) -> String? {
            guard let path else { return nil }
            guard let text = PEMFile.read(path) else { throw .internalError("open \(path): \(String(cString: strerror(errno)))") }
            return text
        }
        return TLSMaterial(
            authorities: try text(files.authority), certificate: try text(files.certificate), key: try text(files.key),
            insecure: files.authority == nil)
    }

    // MARK: Logs

    package func logs(of pod: JSON, _ options: PodLogOptions) async throws(ClusterProblem) -> APIResponse.Body {
        let session = try await session(node: pod["spec"]?["nodeName"]?.string ?? "")
        var query: [String] = []
        if options.follow { query.append("follow=true") }
        if options.previous { query.append("previous=true") }
        if options.timestamps { query.append("timestamps=true") }
        if let lines = options.tailLines { query.append("tailLines=\(lines)") }
        if let seconds = options.sinceSeconds { query.append("sinceSeconds=\(seconds)") }
        if let time = options.sinceTime { query.append("sinceTime=" + PathText.escape(time.rfc3339)) }
        if let bytes = options.limitBytes { query.append("limitBytes=\(bytes)") }
        var target = "/containerLogs/\(pod.metaNamespace ?? "")/\(pod.metaName)/\(options.container ?? "")"
        if !query.isEmpty { target += "?" + query.joined(separator: "&") }
        let answer: HTTPSessionAnswer
        do throws(WebProblem) { answer = try await session.send(HTTPSessionRequest(target: target, streams: true)) } catch {
            throw .internalError("Get \"https://\(session.host):\(session.port)\(target)\": \(error.cause ?? error.message)")
        }
        guard case .stream(let stream) = answer.body else { return .bytes([]) }
        guard answer.status == 200 else {
            var bytes: [UInt8] = []
            while bytes.count < Self.refusalLimitBytes, let chunk = await stream.next() { bytes += chunk }
            let text = String(decoding: bytes.prefix(Self.refusalLimitBytes), as: UTF8.self)
            if answer.status == 404 { throw ClusterProblem(code: 404, reason: "NotFound", message: text) }
            throw answer.status == 400 ? .badRequest(text) : .internalError(text)
        }
        return .stream(AsyncStream(unfolding: { await stream.next() }, onCancel: { stream.cancel() }))
    }
}

/// Small files of keys and certificates.
enum PEMFile {
    private static let limitBytes = 256 << 10

    static func read(_ path: String) -> String? {
        guard let file = fopen(path, "re") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: limitBytes)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}

/// exec, attach and port-forward of pods.
package struct PodUpgrades: StreamUpgrades {
    private let client: ClusterClient
    private let streams: PodStreams

    package init(client: ClusterClient, streams: PodStreams) {
        self.client = client
        self.streams = streams
    }

    package func upgrade(_ request: HTTPRequest, _ attributes: RequestAttributes, user: UserInfo) async -> WireUpgrade? {
        guard attributes.resource == "pods", attributes.group.isEmpty, !attributes.name.isEmpty,
            ["exec", "attach", "portforward"].contains(attributes.subresource)
        else { return nil }
        do throws(ClusterProblem) {
            let pod = try await client.get(.pods, namespace: attributes.namespace, name: attributes.name)
            return await streams.upgrade(request, pod: pod, subresource: attributes.subresource)
        } catch {
            return .refuse(APIFront.response(error))
        }
    }
}
