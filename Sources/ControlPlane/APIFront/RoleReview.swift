// Lets the API server ask about writes of roles, bindings, nodes and mirror pods. Made before `Access`, which needs the server.
internal import APIServer
package import Access
package import ClusterModel
package import Essentials
internal import Synchronization

package final class RoleReview: WriteReview {
    private let access = Mutex<Access?>(nil)

    package init() {}

    /// Until this is called, only the cluster's own programs in this process may write.
    package func use(_ access: Access) { self.access.withLock { $0 = access } }

    package func check(_ object: JSON, old: JSON?, _ resource: GroupVersionResource, user: UserInfo) throws(ClusterProblem) {
        if user == .system { return }
        guard let access = access.withLock({ $0 }) else { throw .unavailable("the server is starting") }
        try access.checkWrite(object, old: old, resource, user: user)
    }
}
