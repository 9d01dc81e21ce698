// Placeholder of the test room ControlPlaneTests until its first suite lands.
