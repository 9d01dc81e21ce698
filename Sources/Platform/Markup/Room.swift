// Placeholder of the room Markup until its first file lands.
