// Placeholder of the test room KernelTests until its first suite lands.
