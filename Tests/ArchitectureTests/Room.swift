// Placeholder of the test room ArchitectureTests until its first suite lands.
