// Bodies of requests in their formats: JSON, YAML, protobuf.
internal import ClusterModel
internal import Crypto
internal import Essentials
internal import Yaml

enum Bodies {
    private static func type(_ request: APIRequest) -> String {
        (request.header("content-type") ?? "").prefix { $0 != ";" }.filter { $0 != " " }.lowercased()
    }

    static func isYAML(_ request: APIRequest) -> Bool { type(request).contains("yaml") }

    static func yaml(_ body: [UInt8]) throws(ClusterProblem) -> JSON {
        do throws(YAMLProblem) { return try YAML.document(body) } catch {
            // `kubectl apply --server-side` calls its JSON yaml, which it is but for tabs and the like.
            if let document = try? JSON(parsing: body) { return document }
            throw .badRequest("error converting YAML to JSON: \(error.message)")
        }
    }

    static func document(_ body: [UInt8], _ request: APIRequest, as kind: String, _ schema: Schema) throws(ClusterProblem) -> JSON {
        if isYAML(request) { return try yaml(body) }
        if type(request) == "application/vnd.kubernetes.protobuf" || body.starts(with: Protobuf.magic) {
            do throws(DecodingFailure) {
                return try Protobuf(table: schema.types).decode(body) { _, name in name.isEmpty ? kind : name }
            } catch {
                throw .badRequest(error.message)
            }
        }
        let document: JSON
        do throws(JSONError) { document = try JSON(parsing: body) } catch {
            throw .badRequest("couldn't get version/kind; json parse error: \(error.message)")
        }
        guard case .object = document else {
            throw .badRequest("couldn't get version/kind; json parse error: json: cannot unmarshal into Go value of type struct")
        }
        if let name = document["kind"]?.string, !name.isEmpty, name != kind {
            throw .badRequest("\(name) in version \"\(document["apiVersion"]?.string ?? "")\" cannot be handled as a \(kind)")
        }
        return document
    }

    static func text(base64: String) -> String? { Base64.decode(base64).flatMap { String(validating: $0, as: UTF8.self) } }
}
