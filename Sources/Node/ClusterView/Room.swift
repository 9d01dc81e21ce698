// The cluster as the lesson page draws it.
