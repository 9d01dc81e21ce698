// The store as a process of its own.
