"""What makes things that the project ships. None of it is in the wheel, and nothing that is imports it."""
