"""The page at "/": HTML, a style sheet and JavaScript modules, sent as one file."""
