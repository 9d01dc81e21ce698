// Placeholder of the test room WebTests until its first suite lands.
