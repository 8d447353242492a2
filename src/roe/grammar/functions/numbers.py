"""FEEL's functions of numbers (DMN 1.5, section 10.3.4.5). Rounding is that of decimal digits, as people read a number."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Context, Decimal

from roe.dynamic import Value
from roe.grammar import values as v
from roe.grammar.registry import function

_PRECISE = Context(prec=400)


def _rounded(n: float, scale: float, mode: str) -> float | None:
    places = int(scale)
    if not -6111 <= places <= 6176:
        return None
    exact = Decimal(repr(n))
    exponent = exact.as_tuple().exponent
    if not isinstance(exponent, int) or -exponent <= places:
        return n
    result = exact.quantize(Decimal(1).scaleb(-places, _PRECISE), mode, _PRECISE)
    return v.number(int(result) if result == result.to_integral_value() else float(result))


def _rounding(name: str, mode: str, example: str, value: str, doc: str, sql: str = "") -> None:
    params = "n: number, scale: number" if name != "floor" and name != "ceiling" else "n: number, scale: number?"
    function(name, params, "number", example, value, doc, sql=sql)(lambda n, scale=0: _rounded(n, scale or 0, mode))


_rounding("decimal", ROUND_HALF_EVEN, "decimal(2.345, 2)", "2.34", "rounded to so many places, halves to the even digit")
_rounding("floor", ROUND_FLOOR, "floor(1.5)", "1", "rounded down", "FLOOR(n)")
_rounding("ceiling", ROUND_CEILING, "ceiling(1.5)", "2", "rounded up", "CEIL(n)")
_rounding("round_up", ROUND_UP, "round_up(5.5, 0)", "6", "rounded away from zero")
_rounding("round_down", ROUND_DOWN, "round_down(5.5, 0)", "5", "rounded towards zero")
_rounding("round_half_up", ROUND_HALF_UP, "round_half_up(2.5, 0)", "3", "rounded, halves away from zero")
_rounding("round_half_down", ROUND_HALF_DOWN, "round_half_down(2.5, 0)", "2", "rounded, halves towards zero")


@function("abs", "n: number|duration|months", "any", "abs(-10)", "10", "the amount without its sign", sql="ABS(n)")
def _abs(n: Value) -> object:
    return v.Months(abs(n.months)) if isinstance(n, v.Months) else v.attempt(lambda: abs(n))


@function("modulo", "dividend: number, divisor: number", "number", "modulo(-12, 5)", "3", "the rest of a division, with the divisor's sign")
def _modulo(a: float, b: float) -> float | None:
    if b == 0:
        return None
    if type(a) is type(b) is int:
        return a % b
    x, y = Decimal(repr(a)), Decimal(repr(b))
    return v.attempt(lambda: v.number(float(x - y * (x / y).to_integral_value(ROUND_FLOOR))))


@function("sqrt", "number: number", "number", "sqrt(16)", "4", "the square root; null for a negative number")
def _sqrt(n: float) -> float | None:
    return v.attempt(lambda: math.sqrt(n))


@function("log", "number: number", "number", "log(1)", "0", "the natural logarithm")
def _log(n: float) -> float | None:
    return v.attempt(lambda: math.log(n))


@function("exp", "number: number", "number", "exp(0)", "1", "e to the power of the number")
def _exp(n: float) -> float | None:
    return v.attempt(lambda: math.exp(n))


@function("odd", "number: number", "boolean", "odd(5)", "true", "whether a whole number is odd")
def _odd(n: float) -> bool:
    return n % 2 == 1


@function("even", "number: number", "boolean", "even(2)", "true", "whether a whole number is even")
def _even(n: float) -> bool:
    return n % 2 == 0
