// Placeholder of the room Accounts until its first file lands.
