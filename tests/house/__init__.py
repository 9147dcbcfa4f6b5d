"""Tests of the house itself: the contract, the code generated from it and the locks."""
