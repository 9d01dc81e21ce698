// Placeholder of the test room MarkupTests until its first suite lands.
