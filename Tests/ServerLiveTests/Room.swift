// Placeholder of the test room ServerLiveTests until its first suite lands.
