"""16-bit floats: kept in memory as they are, computed with as float32.

Loads widen, stores round to the nearest (ties to even); both are exact for every value, subnormal numbers, infinities
and NaN among them. bfloat16 is the upper half of a float32, so a shift does it on any processor. float16 takes the
conversions of F16C where vectors are as long as the processors have them that know these (eight lanes: AVX2), and
integer arithmetic elsewhere.
"""

from __future__ import annotations

from typing import Any

import llvmlite.ir as ll

FLOAT, HALF = ll.FloatType(), ll.HalfType()
#: What lies in memory, of the element types that are computed with in another.
STORED = {"bfloat16": ll.IntType(16), "float16": ll.IntType(16)}


def summed_in(element: str) -> str:
    """The type that values of an element are computed and summed in."""
    return "float32" if element in STORED else element


#: Lanes from which on a processor converts float16 itself.
_CONVERTED_BY_PROCESSOR = 8


def widen(builder: ll.IRBuilder, element: str, stored: ll.Value) -> ll.Value:
    """16-bit numbers (an i16 or a vector of them) as float32."""
    lanes = _lanes(stored.type)
    if element == "float16" and lanes >= _CONVERTED_BY_PROCESSOR:
        return builder.fpext(builder.bitcast(stored, _like(HALF, lanes)), _like(FLOAT, lanes))
    word = builder.zext(stored, _like(ll.IntType(32), lanes))
    if element == "bfloat16":
        return builder.bitcast(builder.shl(word, _constant(word, 16)), _like(FLOAT, lanes))
    # The exponent moves to its place and is then 112 too small: a multiplication puts that right for subnormals too.
    sign = builder.shl(builder.and_(word, _constant(word, 0x8000)), _constant(word, 16))
    rest = builder.and_(word, _constant(word, 0x7FFF))
    moved = builder.bitcast(builder.shl(rest, _constant(word, 13)), _like(FLOAT, lanes))
    scaled = builder.bitcast(builder.fmul(moved, _constant(moved, 2.0**112)), word.type)
    special = builder.icmp_unsigned(">=", rest, _constant(word, 0x7C00))
    scaled = builder.select(special, builder.or_(scaled, _constant(word, 0x7F800000)), scaled)
    return builder.bitcast(builder.or_(scaled, sign), _like(FLOAT, lanes))


def narrow(builder: ll.IRBuilder, element: str, value: ll.Value) -> ll.Value:
    """float32 numbers rounded to 16 bits, as i16."""
    lanes = _lanes(value.type)
    if element == "float16" and lanes >= _CONVERTED_BY_PROCESSOR:
        return builder.bitcast(builder.fptrunc(value, _like(HALF, lanes)), _like(ll.IntType(16), lanes))
    word = builder.bitcast(value, _like(ll.IntType(32), lanes))
    rounded = _to_bfloat16(builder, word) if element == "bfloat16" else _to_float16(builder, word)
    return builder.trunc(rounded, _like(ll.IntType(16), lanes))


def _to_bfloat16(builder: ll.IRBuilder, word: ll.Value) -> ll.Value:
    upper = builder.lshr(word, _constant(word, 16))
    tie = builder.add(builder.and_(upper, _constant(word, 1)), _constant(word, 0x7FFF))
    rounded = builder.lshr(builder.add(word, tie), _constant(word, 16))
    magnitude = builder.and_(word, _constant(word, 0x7FFFFFFF))
    not_a_number = builder.icmp_unsigned(">", magnitude, _constant(word, 0x7F800000))
    # A NaN whose payload is in the lower half would become an infinity: keep it quiet.
    return builder.select(not_a_number, builder.or_(upper, _constant(word, 0x40)), rounded)


def _to_float16(builder: ll.IRBuilder, word: ll.Value) -> ll.Value:
    lanes = _lanes(word.type)
    magnitude = builder.and_(word, _constant(word, 0x7FFFFFFF))
    sign = builder.and_(builder.lshr(word, _constant(word, 16)), _constant(word, 0x8000))
    odd = builder.and_(builder.lshr(magnitude, _constant(word, 13)), _constant(word, 1))
    tie = builder.add(odd, _constant(word, 0xFFF - (112 << 23)))
    normal = builder.lshr(builder.add(magnitude, tie), _constant(word, 13))
    # Adding 0.5 puts the last bit of a subnormal float16, 2^-24, last in the sum: the addition rounds.
    half = _constant(builder.bitcast(word, _like(FLOAT, lanes)), 0.5)
    small = builder.fadd(builder.bitcast(magnitude, _like(FLOAT, lanes)), half)
    small = builder.sub(builder.bitcast(small, word.type), builder.bitcast(half, word.type))
    result = builder.select(builder.icmp_unsigned("<", magnitude, _constant(word, 113 << 23)), small, normal)
    too_large = builder.icmp_unsigned(">=", magnitude, _constant(word, 0x47800000))
    result = builder.select(too_large, _constant(word, 0x7C00), result)
    not_a_number = builder.icmp_unsigned(">", magnitude, _constant(word, 0x7F800000))
    return builder.or_(builder.select(not_a_number, _constant(word, 0x7E00), result), sign)


def _lanes(kind: ll.Type) -> int:
    return int(kind.count) if isinstance(kind, ll.VectorType) else 0


def _like(scalar: ll.Type, lanes: int) -> ll.Type:
    return ll.VectorType(scalar, lanes) if lanes else scalar


def _constant(like: ll.Value, number: Any) -> ll.Constant:
    """`number` in every lane of `like`'s type."""
    lanes = _lanes(like.type)
    return ll.Constant(like.type, [number] * lanes if lanes else number)
