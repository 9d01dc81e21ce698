// Placeholder of the room Scheduler until its first file lands.
