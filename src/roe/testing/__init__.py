"""Tests of policies: small documents that say who must own what."""
