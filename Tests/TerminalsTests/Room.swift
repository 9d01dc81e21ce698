// Placeholder of the test room TerminalsTests until its first suite lands.
