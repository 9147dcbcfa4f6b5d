"""Mutation checks: each guard of the product is removed on a copy, and a test must fail then.

A guard is code without which everything still works, until something goes wrong. So nothing but a
test that makes it go wrong shows that the guard is there. `guards/` holds one file for each, with
what it prevents, the edit that removes it, and the tests that are expected to fail without it.
`make mutations` removes them one by one. The product has no switch for this.
"""
