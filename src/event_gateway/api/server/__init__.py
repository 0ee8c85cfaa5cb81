"""What all routes share: the application, bodies, problems, conditions, pages of lists."""
