"""The listed symbols: names, tapes, first prices, and each one's share of all trades.

The hundred best known carry the names of real, much traded US instruments so that a demonstration reads
naturally; their prices and everything that happens to them are invented. The rest (``ZAAA`` …) look like
nothing that is listed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["TAPES", "Universe", "shares"]

TAPES = "ABC"

# name:tape:price, by how much they trade.
_KNOWN = """
SPY:B:560 NVDA:C:120 TSLA:C:240 QQQ:C:480 AAPL:C:225 AMD:C:155 IWM:B:215 PLTR:C:38 F:A:11 INTC:C:22
SOFI:C:8 BAC:A:40 AMZN:C:185 TQQQ:C:72 SQQQ:C:8.5 NIO:A:5.5 MARA:C:17 T:A:21 GOOGL:C:165 MSFT:C:425
META:C:560 PFE:A:29 SOXL:B:35 HYG:B:79 XLF:B:45 TLT:C:98 EEM:B:43 FXI:B:27 CCL:A:18 AAL:C:11
WBD:C:8 SNAP:A:11 UBER:A:73 VALE:A:11 CMCSA:C:40 CSCO:C:51 KVUE:A:23 HOOD:C:23 WMT:A:80 GOOG:C:166
MU:C:96 DIS:A:95 KO:A:71 XOM:A:115 C:A:62 WFC:A:56 JPM:A:210 AVGO:C:165 SMCI:C:45 COIN:C:180
RIVN:C:11 LCID:C:3.5 PYPL:C:78 NKE:A:82 VZ:A:44 NU:A:14 KRE:B:57 GDX:B:39 SLV:B:28 GLD:B:243
EWZ:B:29 XLE:B:88 XLU:B:79 XLK:B:222 ARKK:B:46 LQD:B:112 VOO:B:515 DIA:B:418 BA:A:155 GM:A:48
MRK:A:117 CVX:A:147 BABA:A:105 JD:C:38 PDD:C:130 BIDU:C:95 ORCL:A:165 CRM:A:270 NFLX:C:705 SBUX:C:96
GE:A:185 CAT:A:370 V:A:277 MA:A:485 HD:A:385 UNH:A:580 JNJ:A:163 PG:A:172 LLY:A:905 ABBV:A:193
BRK.B:A:455 BF.B:A:49 GME:A:22 AMC:A:4.5 DKNG:C:40 RBLX:A:44 SHOP:A:79 SQ:A:67 COST:C:890 PEP:C:172
IBM:A:215 AIG:A:74 MS:A:104 GS:A:490
"""

_SUFFIXES = ("", ".WS", ".U", ".PRA", ".A")
_EVERY_WITH_SUFFIX = 50

# Below about 180 symbols no Zipf law of a sensible exponent has a largest share of 4%; this is the least.
_EXPONENT_MIN = 0.5
_LARGEST_SHARE = 0.04


@dataclass(frozen=True)
class Universe:
    """Everything that is fixed about the symbols; arrays of shape ``(n_symbols,)``.

    Parameters
    ----------
    symbols
        Canonical names, most traded first.
    tape
        Index into `TAPES`.
    price
        First prices in dollars.
    share
        Of all trades; sums to 1.
    volatility_factor
        Each symbol's own volatility relative to a typical one.
    """

    symbols: tuple[str, ...]
    tape: npt.NDArray[np.uint8]
    price: npt.NDArray[np.float64]
    share: npt.NDArray[np.float64]
    volatility_factor: npt.NDArray[np.float64]

    @classmethod
    def of(cls, seed: int, n_symbols: int) -> Universe:
        """List `n_symbols` of them; a longer list begins with the shorter one."""
        names, tapes, prices = [], [], []
        for entry in _KNOWN.split()[:n_symbols]:
            name, tape, price = entry.split(":")
            names.append(name)
            tapes.append(TAPES.index(tape))
            prices.append(float(price))
        n_more = n_symbols - len(names)
        # Separate streams, so that each column of a longer list begins with that of the shorter one.
        price_rng, tape_rng, volatility_rng = np.random.default_rng([seed, 0x5EED]).spawn(3)
        names += [_generated(number) for number in range(n_more)]
        tapes += tape_rng.choice(3, n_more, p=[0.28, 0.22, 0.5]).tolist()
        prices += np.clip(np.exp(price_rng.normal(3.4, 0.9, n_more)), 2.0, 900.0).round(2).tolist()
        return cls(
            symbols=tuple(names),
            tape=np.array(tapes, dtype=np.uint8),
            price=np.array(prices),
            share=shares(n_symbols),
            volatility_factor=np.exp(volatility_rng.normal(0.0, 0.35, n_symbols)),
        )


def shares(n_symbols: int) -> npt.NDArray[np.float64]:
    """Give each symbol's share of all trades: Zipf's law with the largest at 4%.

    Returns
    -------
    Shape ``(n_symbols,)``, falling, summing to 1. Below about 180 symbols the largest exceeds 4%.
    """
    rank = np.arange(1.0, n_symbols + 1)
    low, high = _EXPONENT_MIN, 2.0
    for _ in range(50):
        middle = (low + high) / 2
        if 1.0 / np.sum(rank**-middle) < _LARGEST_SHARE:
            low = middle
        else:
            high = middle
    weight = rank**-low
    share: npt.NDArray[np.float64] = weight / weight.sum()
    return share


def _generated(number: int) -> str:
    letters = "".join(chr(ord("A") + number // 26**power % 26) for power in (2, 1, 0))
    suffix = (
        _SUFFIXES[number // _EVERY_WITH_SUFFIX % len(_SUFFIXES)] if number % _EVERY_WITH_SUFFIX == 49 else ""
    )
    return f"Z{letters}{suffix}"
