// Placeholder of the test room AgentTests until its first suite lands.
