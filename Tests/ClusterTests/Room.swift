// Placeholder of the test room ClusterTests until its first suite lands.
