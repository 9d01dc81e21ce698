// Placeholder of the test room NodeTests until its first suite lands.
