// Start, and end at once.
