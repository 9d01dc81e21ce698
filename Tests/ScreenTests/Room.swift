// Placeholder of the test room ScreenTests until its first suite lands.
