x = "of a file"
