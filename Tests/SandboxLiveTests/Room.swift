// Placeholder of the test room SandboxLiveTests until its first suite lands.
