"""Searching the text of files on both databases: folded words, their index, and questions asked of it."""
