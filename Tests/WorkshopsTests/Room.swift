// Placeholder of the test room WorkshopsTests until its first suite lands.
