// Placeholder of the test room DatabaseTests until its first suite lands.
