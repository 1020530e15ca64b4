"""`expect` keeps the text of the notebooks true."""

import json
import math
import os

import numpy as np

WHAT_NOW = (
    "If you changed something above, this is a finding: your change made the claim untrue. Keep it, or undo it, "
    "and carry on.\n  If you changed nothing, please report it."
)


def expect(claim, value, *, at_least=None, at_most=None, stored=False):
    """Hold a sentence of the text to a measured value.

    Prints the claim, what was measured and the bar, marked ✓ where the bar is met. A value that
    misses its bar is marked ✗ and explained, and the notebook goes on.

    Two environment variables change that for the tools. With ``TUTORIAL_STRICT=1`` a miss raises
    an error. With ``TUTORIAL_CLAIMS`` set to a file nothing raises, and every call appends what
    it found to the file, as one line of JSON.

    Parameters
    ----------
    claim : str
        What is claimed, as one line: "recall at a 2 % alert budget".
    value : float
        What was measured. An integer is printed as a count; NaN misses every bar.
    at_least, at_most : float, optional
        The bar; one of them or both.
    stored : bool, default False
        Whether the value was read from a stored measurement rather than measured just now.

    Raises
    ------
    AssertionError
        If the value misses the bar and ``TUTORIAL_STRICT`` is set.
    ValueError
        If the claim is not one line of text, if no bar is given, if the bars contradict each
        other, or if `value` is not a number.

    Examples
    --------
    >>> from helpers import expect
    >>> expect("recall", 0.51234, at_least=0.45)
    ✓ recall: 0.512 (at least 0.45)
    >>> expect("false-positive rate", 0.0123, at_least=0.01, at_most=0.02)
    ✓ false-positive rate: 0.012 (0.01 to 0.02)
    >>> expect("anomalies found", 1234, at_least=1000, stored=True)
    ✓ anomalies found: 1,234 (at least 1,000; stored)
    """
    if not isinstance(claim, str) or not claim.strip() or "\n" in claim:
        raise ValueError(f"claim is {claim!r}, expected one line of text.")
    low, high = (None if bar is None else float(bar) for bar in (at_least, at_most))
    bars = [bar for bar in (low, high) if bar is not None]
    if not bars or not np.isfinite(bars).all():
        raise ValueError(f"expect({claim!r}) needs a finite at_least, at_most, or both: a claim needs a bar.")
    if len(bars) == 2 and low > high:
        raise ValueError(f"expect({claim!r}): at_least={at_least} is above at_most={at_most}.")
    if np.ndim(value) != 0 or np.asarray(value).dtype.kind not in "biuf":
        raise ValueError(f"expect({claim!r}): value is {value!r}, expected one number.")
    value = np.asarray(value).item()
    holds = (low is None or value >= low) and (high is None or value <= high)
    bar, measured = _bar_text(low, high), _value_text(value, bars)
    line = f"{'✓' if holds else '✗'} {claim}: {measured} ({bar}{'; stored' if stored else ''})"
    if not holds:
        line += f"\n  Expected {bar}, measured {measured}. {WHAT_NOW}"
    if claims_file := os.environ.get("TUTORIAL_CLAIMS"):
        record = {"claim": claim, "value": float(value), "at_least": low, "at_most": high, "stored": bool(stored)}
        with open(claims_file, "a", encoding="utf-8") as file:
            file.write(json.dumps(record | {"holds": holds}, ensure_ascii=False) + "\n")
    elif not holds and os.environ.get("TUTORIAL_STRICT", "0") not in ("", "0"):
        raise AssertionError(line)
    print(line)


def _bar_text(low, high):
    if low is not None and high is not None:
        return f"{_bar_number(low)} to {_bar_number(high)}"
    return f"at most {_bar_number(high)}" if low is None else f"at least {_bar_number(low)}"


def _bar_number(bar):
    return f"{int(bar):,}" if bar == int(bar) and abs(bar) < 1e9 else f"{bar:.12g}"


def _value_text(value, bars):
    """Write two or three significant digits, or as many as tell the value from its bars."""
    if isinstance(value, int) or value == 0:
        return f"{int(value):,}"
    if not math.isfinite(value):
        return str(value)
    for digits in range(3 if abs(value) >= 0.1 else 2, 17):
        text = _significant(value, digits)
        if all(np.sign(float(text.replace(",", "")) - bar) == np.sign(value - bar) for bar in bars):
            break
    return text


def _significant(value, digits):
    if not 1e-4 <= abs(value) < 1e9:
        return f"{value:.{digits - 1}e}"
    # Rounding first: 0.09996 has its first digit where 0.1 has it.
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    return f"{value:,.{max(digits - 1 - exponent, 0)}f}"
