"""What is wanted for an object, beside golden files, and the pure parts around it."""
