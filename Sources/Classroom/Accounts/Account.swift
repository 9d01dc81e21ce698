// Who somebody is: an account with a role.

package enum Role: String, Sendable, Comparable, CaseIterable {
    case learner, instructor, admin

    private var rank: Int { Role.allCases.firstIndex(of: self) ?? 0 }
    package static func < (left: Role, right: Role) -> Bool { left.rank < right.rank }
    /// Instructors and admins see and help all labs.
    package var isStaff: Bool { self >= .instructor }
}

package struct Account: Sendable, Hashable {
    package var id: String
    package var name: String
    package var role: Role

    package init(id: String, name: String, role: Role) {
        self.id = id
        self.name = name
        self.role = role
    }
}
