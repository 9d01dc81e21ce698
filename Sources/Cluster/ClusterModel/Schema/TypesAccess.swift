// The types of service accounts, roles, certificates, and the reviews that answer who someone is and may do.

extension TypesText {
    static let serviceAccount = """
        %api.core.v1
        @ServiceAccount A name that pods act under.
        1 metadata ObjectMeta | Name, labels and the like.
        2 secrets []ObjectReference key=name | Secrets its pods may use.
        3 imagePullSecrets []LocalObjectReference atomic | Secrets with which its pods pull images.
        4 automountServiceAccountToken bool ptr | Whether its pods get a token.
        """

    static let rbac = """
        %api.rbac.v1
        @Role Rights within a namespace.
        1 metadata ObjectMeta | Name, labels and the like.
        2 rules []PolicyRule keep atomic | The rights.

        @ClusterRole Rights in the whole cluster, or in the namespaces where it is bound.
        1 metadata ObjectMeta | Name, labels and the like.
        2 rules []PolicyRule keep atomic | The rights.
        3 aggregationRule AggregationRule | Other roles whose rights it has.

        @AggregationRule Roles whose rights are put together.
        1 clusterRoleSelectors []LabelSelector atomic | The roles, by their labels.

        @PolicyRule Verbs that are allowed on some things.
        1 verbs []string required atomic | The verbs, such as get or list; * means all.
        2 apiGroups []string atomic | The groups; the empty one is the core group.
        3 resources []string atomic | The resources, such as pods or pods/log; * means all.
        4 resourceNames []string atomic | Only objects with these names.
        5 nonResourceURLs []string atomic | Paths such as /healthz; they may end in *.

        @RoleBinding Gives the rights of a role to someone within a namespace.
        1 metadata ObjectMeta | Name, labels and the like.
        2 subjects []Subject atomic | Who gets them.
        3 roleRef RoleRef required | The role. It cannot change.

        @ClusterRoleBinding Gives the rights of a role to someone in the whole cluster.
        1 metadata ObjectMeta | Name, labels and the like.
        2 subjects []Subject atomic | Who gets them.
        3 roleRef RoleRef required | The role. It cannot change.

        @Subject Someone who gets rights.
        1 kind string required | User, Group or ServiceAccount.
        2 apiGroup string | The group of the kind; empty for a ServiceAccount.
        3 name string required | The name.
        4 namespace string | The namespace of a ServiceAccount.

        @RoleRef A role.
        1 apiGroup string required | Its group.
        2 kind string required | Role or ClusterRole.
        3 name string required | Its name.
        """

    static let certificates = """
        %api.certificates.v1
        @CertificateSigningRequest Asks for a certificate; someone approves it and a signer makes it.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec CertificateSigningRequestSpec required | What is asked for. It cannot change.
        3 status CertificateSigningRequestStatus ={} | What became of it.

        @CertificateSigningRequestSpec What is asked for.
        1 request bytes required | The request as PEM, in base64.
        7 signerName string required | Who should sign it.
        8 expirationSeconds int32 ptr | Seconds the certificate should be valid.
        5 usages []string atomic | What the certificate is for.
        2 username string | Who asked. Set by the server.
        3 uid string | The uid of who asked. Set by the server.
        4 groups []string atomic | The groups of who asked. Set by the server.
        6 extra {}[]string | Further facts about who asked. Set by the server.

        @CertificateSigningRequestStatus What became of a request.
        1 conditions []CertificateSigningRequestCondition key=type | Approved, Denied or Failed.
        2 certificate bytes | The certificate as PEM, in base64.

        @CertificateSigningRequestCondition One decision about a request.
        1 type string required | Approved, Denied or Failed.
        6 status string required | True.
        2 reason string | A word for programs.
        3 message string | A sentence for people.
        4 lastUpdateTime time | When it was last confirmed.
        5 lastTransitionTime time | When it was made.
        """

    static let authentication = """
        %api.authentication.v1
        @TokenReview Asks whose a token is.
        1 metadata ObjectMeta | Unused.
        2 spec TokenReviewSpec required | The token.
        3 status TokenReviewStatus | Whose it is.

        @TokenReviewSpec A token.
        1 token string | The token.
        2 audiences []string atomic | Whom it must be for.

        @TokenReviewStatus Whose a token is.
        1 authenticated bool | The token is good.
        2 user UserInfo | Whose it is.
        4 audiences []string atomic | Whom it is for.
        3 error string | Why it could not be checked.

        @UserInfo A user.
        1 username string | The name.
        2 uid string | The uid.
        3 groups []string atomic | The groups.
        4 extra {}[]string | Further facts.

        @SelfSubjectReview Asks who I am.
        1 metadata ObjectMeta | Unused.
        2 status SelfSubjectReviewStatus | Who.

        @SelfSubjectReviewStatus Who I am.
        1 userInfo UserInfo | The user.

        @TokenRequest Asks for a token of a service account.
        1 metadata ObjectMeta | The account's name.
        2 spec TokenRequestSpec required | What the token is for.
        3 status TokenRequestStatus | The token.

        @TokenRequestSpec What a token is for.
        1 audiences []string atomic | Whom it is for; the API server where empty.
        4 expirationSeconds int64 ptr =3600 | Seconds it is valid.
        3 boundObjectRef BoundObjectReference | The object it ends with.

        @BoundObjectReference The object a token ends with.
        1 kind string | Pod, Node or Secret.
        2 apiVersion string | Its API version.
        3 name string | Its name.
        4 uid string | Its uid.

        @TokenRequestStatus A token.
        1 token string required | The token.
        2 expirationTimestamp time required | When it ends.
        """

    static let authorization = """
        %api.authorization.v1
        @SubjectAccessReview Asks whether someone may do something.
        1 metadata ObjectMeta | Unused.
        2 spec SubjectAccessReviewSpec required | Who, and what.
        3 status SubjectAccessReviewStatus | The answer.

        @LocalSubjectAccessReview Asks whether someone may do something in this namespace.
        1 metadata ObjectMeta | Unused.
        2 spec SubjectAccessReviewSpec required | Who, and what.
        3 status SubjectAccessReviewStatus | The answer.

        @SelfSubjectAccessReview Asks whether I may do something.
        1 metadata ObjectMeta | Unused.
        2 spec SelfSubjectAccessReviewSpec required | What.
        3 status SubjectAccessReviewStatus | The answer.

        @SelfSubjectAccessReviewSpec What is asked about.
        1 resourceAttributes ResourceAttributes | Something done to an object.
        2 nonResourceAttributes NonResourceAttributes | Something done to a path.

        @SubjectAccessReviewSpec Who and what is asked about.
        1 resourceAttributes ResourceAttributes | Something done to an object.
        2 nonResourceAttributes NonResourceAttributes | Something done to a path.
        3 user string | The user.
        4 groups []string atomic | The user's groups.
        5 extra {}[]string | Further facts about the user.
        6 uid string | The user's uid.

        @ResourceAttributes Something done to an object.
        1 namespace string | The namespace; empty means all.
        2 verb string | The verb, such as get.
        3 group string | The group.
        4 version string | The version.
        5 resource string | The resource, such as pods.
        6 subresource string | The part of it, such as log.
        7 name string | The name; empty means all.
        8 fieldSelector any | Only objects with these fields.
        9 labelSelector any | Only objects with these labels.

        @NonResourceAttributes Something done to a path.
        1 path string | The path.
        2 verb string | The verb.

        @SubjectAccessReviewStatus The answer.
        1 allowed bool required =false | It is allowed.
        4 denied bool | It is forbidden for certain.
        2 reason string | Why.
        3 evaluationError string | What went wrong in finding out.

        @SelfSubjectRulesReview Asks what I may do in a namespace.
        1 metadata ObjectMeta | Unused.
        2 spec SelfSubjectRulesReviewSpec required | The namespace.
        3 status SubjectRulesReviewStatus | The answer.

        @SelfSubjectRulesReviewSpec Where.
        1 namespace string | The namespace.

        @SubjectRulesReviewStatus What someone may do.
        1 resourceRules []ResourceRule required keep atomic | On objects.
        2 nonResourceRules []NonResourceRule required keep atomic | On paths.
        3 incomplete bool required =false | There may be more.
        4 evaluationError string | What went wrong in finding out.

        @ResourceRule Verbs allowed on objects.
        1 verbs []string required atomic | The verbs.
        2 apiGroups []string atomic | The groups.
        3 resources []string atomic | The resources.
        4 resourceNames []string atomic | Only these names.

        @NonResourceRule Verbs allowed on paths.
        1 verbs []string required atomic | The verbs.
        2 nonResourceURLs []string atomic | The paths.
        """
}
