// Filled by the tests of its rooms.
