"""Commands for those who change the course; CONTRIBUTING.md says when to use each."""
