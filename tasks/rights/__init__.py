"""Licences and provider terms: what they are, whom they bind, and what follows."""
