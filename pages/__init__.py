"""The site: what is made of the code, the results and the tutorials when `make docs` builds it."""
