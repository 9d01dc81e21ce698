// Placeholder of the test room LabsTests until its first suite lands.
