"""roe: sales rules of engagement as code."""
from roe.api import evaluate as evaluate
