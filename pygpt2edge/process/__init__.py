"""What a process that forks must know of itself."""
