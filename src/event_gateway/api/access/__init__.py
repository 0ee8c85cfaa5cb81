"""Who calls: the methods by which callers prove themselves, and what each route asks of them."""
